"""The Celery app, and which process wiring belongs to this process.

`celery -A couponpress_worker.app worker` works as for any Celery app; importing this module reads no setting and
opens nothing. Settings are read when Celery first asks for its configuration, in the process that will use them.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import click
from celery import Celery, signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.loaders.app import AppLoader
from kombu import Queue

from couponpress.errors import CouponpressError
from couponpress.keys import Keys
from couponpress_worker.runtime.process import Process
from couponpress_worker.runtime.shutdown import bound_shutdown
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from couponpress_worker.submission.message_filter import transport_for
from couponpress_worker.submission.publisher import Publisher

#: A hint that a worker fetched and did not begin within so long is given to another. It would also do no harm to lose
#: it, for the ledger knows what waits.
HINT_SECONDS = 60
#: How long Celery keeps a chunk task's summary; the ledger keeps the truth.
SUMMARY_SECONDS = 3600


def celery_configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's own settings, from ours."""
    keys = Keys(settings.mchid)
    redis_servers = settings.redis_address.celery()
    return {
        **redis_servers,
        "broker_transport": transport_for(redis_servers["broker_url"]),
        "result_expires": SUMMARY_SECONDS,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "task_queues": [Queue(name, routing_key=name) for name in keys.queues],
        "task_default_queue": keys.queue("bulk"),
        "broker_transport_options": {
            **redis_servers["broker_transport_options"],
            # The queues are emptied in the order given: urgent, then what was in hand before, then bulk.
            "queue_order_strategy": "priority",
            "visibility_timeout": HINT_SECONDS,
            "screened_mchid": settings.mchid,
        },
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
