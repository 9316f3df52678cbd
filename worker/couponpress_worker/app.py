"""The Celery app, and which process wiring belongs to this process.

`celery -A couponpress_worker.app worker` works as for any Celery app; importing this module reads no setting and
opens nothing. Settings are read when Celery first asks for its configuration, in the process that will use them.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from datetime import UTC, datetime
from typing import Any

import celery.apps.worker
import click
from celery import Celery, signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.loaders.app import AppLoader
from celery.utils.log import get_multiprocessing_logger
from kombu import Queue

from couponpress.errors import CouponpressError
from couponpress.keys import Keys, queue_name
from couponpress.settings import configured_log
from couponpress.transport.broker import broker_settings, name_of
from couponpress.transport.log_lines import format_lines, log_to_stderr
from couponpress_worker.runtime.process import Process
from couponpress_worker.runtime.shutdown import bound_shutdown
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from couponpress_worker.submission.message_filter import ScreeningTransport
from couponpress_worker.submission.publisher import Publisher
from couponpress_worker.submission.task_results import result_settings

#: A hint that a worker fetched and did not begin within so long is given to another. It would also do no harm to lose
#: it, for the ledger knows what waits.
HINT_SECONDS = 60


def celery_configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's own settings, from ours."""
    keys = Keys(settings.mchid)
    names = [queue_name(keys, queue) for queue in keys.queues]
    broker = broker_settings(settings.broker_address, keys)
    return {
        **broker,
        **(result_settings(settings.redis_address, keys) if settings.celery_results else {}),
        "broker_transport": name_of(ScreeningTransport),
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # Straight to the queues: an exchange with a name would need a table of its bindings in Redis.
        "task_queues": [Queue(name, routing_key=name) for name in names],
        "task_default_exchange": "",
        "task_default_queue": names[-1],
        "broker_transport_options": {
            **broker["broker_transport_options"],
            # The queues are emptied in the order given: urgent, then what was in hand before, then bulk.
            "queue_order_strategy": "priority",
            "visibility_timeout": HINT_SECONDS,
            "screened_mchid": settings.mchid,
            "ledger_address": settings.redis_address,
        },
        "worker_enable_remote_control": settings.celery_control,
        "broker_connection_retry_on_startup": True,
        # Redis may stay away for as long as it likes, or refuse what it takes for granted: the consumer goes on.
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "worker_consumer": "couponpress_worker.submission.celery_consumer:PatientConsumer",
        # Both cost rate after a reconnection, for chunks in hand go on meanwhile.
        "worker_enable_prefetch_count_reduction": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,  # of those that are acknowledged late: none
        # One hint is fetched ahead per thread: fetching takes Celery up to a second, in which no slot may be lost.
        "worker_prefetch_multiplier": 1,
        "worker_log_format": "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s%(fields)s",
        "worker_pool": "threads",
        "worker_concurrency": CHUNKS_IN_HAND,
    }


class _SettingsLoader(AppLoader):
    """Configures the app from the environment, when first asked."""

    def read_configuration(self, env: str = "") -> dict[str, Any]:
        del env
        try:
            return celery_configuration(Settings.load())
        except CouponpressError as error:
            raise click.UsageError(str(error)) from error


app = Celery("couponpress", loader=_SettingsLoader, include=["couponpress_worker.tasks"])

publish_again = Publisher(app).publish_again

_wiring: dict[int, Process] = {}
_wiring_lock = threading.Lock()


def this_process(concurrency: int = CHUNKS_IN_HAND) -> Process:
    """Return this process's wiring, made when first asked for and never shared across a fork.

    `concurrency` is how many chunks the process may have in hand; it counts when the wiring is made.
    """
    with _wiring_lock:
        process = _wiring.get(os.getpid())
        if process is None:
            _wiring.clear()  # what a parent process opened is not ours
            settings = Settings.load()
            process = _wiring[os.getpid()] = Process.start(
                settings, Secrets.read(settings), publish_again, most_in_hand=concurrency
            )
        return process


@signals.celeryd_init.connect
def _say_nothing_but_lines(instance: Any, **_: object) -> None:  # noqa: ANN401 - Celery's own object
    if configured_log() == "json":
        instance.quiet = True  # else it prints a banner
        log_to_stderr("json")  # until Celery sets up its own log, for it warns of several things before
        celery.apps.worker.safe_say = _say_as_line  # type: ignore[attr-defined]  # its types leave it out


def _say_as_line(message: str, *_: object) -> None:
    """Write what Celery says while it handles a signal, when no logger may be called."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"time": moment, "level": "info", "logger": "celery.apps.worker", "message": message.strip()}
    os.write(2, json.dumps(line).encode() + b"\n")


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def _format_lines(logger: logging.Logger, **_: object) -> None:
    for one in filter(None, (logger, get_multiprocessing_logger())):
        format_lines(one, configured_log())


@signals.worker_ready.connect
def _wire_threads(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's own object
    if not issubclass(sender.controller.pool_cls, PreforkPool):  # prefork's children wire themselves
        this_process(sender.controller.concurrency)


@signals.worker_process_init.connect
def _wire_child(**_: object) -> None:
    this_process(concurrency=1)  # a child of prefork has one task at a time, and so has the solo pool


@signals.worker_shutting_down.connect
def _hand_back(**_: object) -> None:
    for process in _wiring.values():
        process.stop_sending()
    if (own := _wiring.get(os.getpid())) is not None:  # prefork's parent waits for its children
        bound_shutdown(own.timings.shutdown)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _close(**_: object) -> None:
    process = _wiring.pop(os.getpid(), None)
    if process is not None:
        process.close()
