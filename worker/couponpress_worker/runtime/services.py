"""Runs the callback receiver or the scheduler in the foreground until TERM or INT.

What only the scheduler needs is imported when it runs: a receiver needs no Celery, and starts sooner without.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from couponpress.keys import Keys
from couponpress.language import gettext, serve_in_english
from couponpress.ledger.notices import NoticeLedger
from couponpress.ledger.working import WorkLedger
from couponpress.transport.announcer import Announcer
from couponpress.transport.batching import Batcher
from couponpress.transport.listening import listen, url_of
from couponpress.transport.log_lines import log_to_stderr
from couponpress.transport.redis_refusals import redis_errors_told
from couponpress.transport.serve import serve
from couponpress_worker.completion.callback import CALLBACK_PATH, CallbackReceiver
from couponpress_worker.completion.callback_asgi import CallbackService
from couponpress_worker.completion.completer import Completer
from couponpress_worker.completion.forwarding import ForwardedOnce, Forwarder
from couponpress_worker.errors import ServiceError
from couponpress_worker.events import Events
from couponpress_worker.periodic import TICK_SECONDS, Failures, keep_running
from couponpress_worker.runtime.factories import callback_redis_for, platform_for, signer_for, traces_of
from couponpress_worker.runtime.heartbeat import Beat, Heartbeat, directory, fleet_prefix
from couponpress_worker.runtime.key_reloader import KeyReloader
from couponpress_worker.runtime.shutdown import bound_shutdown
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.certificates import PlatformKeys
from couponpress_worker.wechatpay.signing import Verifier

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)


def serve_callbacks(settings: Settings, *, host: str, port: int) -> None:
    """Receive callbacks until TERM or INT.

    Raises:
        ListenError: the port is taken.
        KeyFileError: a key file cannot be used.
    """
    log_to_stderr(settings.log)
    secret_keys = Secrets.read(settings)
    sockets = listen(host, port)
    serve_in_english()
    redis_client, keys = callback_redis_for(settings), Keys(settings.mchid)
    failures = Failures()
    events = Events(failures)
    end_traces = traces_of(settings, "callback", events)
    notices, ledger = NoticeLedger(redis_client, keys), WorkLedger(redis_client, keys)
    counted: Batcher[str, None] = Batcher(partial(_count_all, notices))
    signer = signer_for(settings, secret_keys)
    platform = platform_for(settings, secret_keys, signer=signer)
    platform_keys = PlatformKeys(secret_keys.public_keys, secret_keys.apiv3_key, platform.certificates)
    forward_url = settings.callback_forward_url
    forwarder = Forwarder(forward_url, rule=settings.proxy_rule) if forward_url else None
    receiver = CallbackReceiver(
        verifier=Verifier(platform_keys.keys),
        apiv3_key=secret_keys.apiv3_key,
        completer=Completer(ledger.queries, ledger.moves, events.tell),
        count=counted.put,
        note_echo=notices.note_echo,
        forward=ForwardedOnce(forwarder.forward, notices).forward if forwarder else None,
        missing=platform_keys.missing,
        tell=events.tell,
    )

    def renew(read: Secrets) -> None:
        signer.renew(read.serial_no(settings), read.private_key)
        platform_keys.renew(read.public_keys, read.apiv3_key)
        receiver.renew(read.apiv3_key)

    key_files = KeyReloader(settings, renew)
    heartbeat = Heartbeat(directory(), fleet_prefix(settings))

    async def beat() -> None:
        state = "receiving" if receiver.storing else "Redis away"
        heartbeat.write(Beat("callback", os.getpid(), state, 0, 0, time.time(), dict(failures.counts)))

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[None]:
        with redis_errors_told(settings.redis_url_shown):
            await redis_client.ping()
        stopped = asyncio.Event()
        loops = [keep_running("key files", lambda: key_files.run(stopped), stopped, failures)]
        loops += [keep_running("heartbeat", beat, stopped, failures, tick_seconds=TICK_SECONDS)]
        if settings.signs_as == "partner":  # a brand verifies with the public key alone
            loops.append(keep_running("certificates", lambda: platform_keys.run(stopped), stopped, failures))
        running = [asyncio.create_task(loop) for loop in loops]
        gc.collect()
        gc.freeze()  # a full collection over everything imported would hold callbacks up
        log.info("receiving callbacks on %s%s", url_of(sockets[0]), CALLBACK_PATH)
        yield
        stopped.set()
        await platform.aclose()
        await asyncio.gather(*running)
        heartbeat.close()
        if forwarder is not None:
            await forwarder.aclose()
        await redis_client.aclose()

    with Announcer(settings.redis_address, keys, "callback"):
        serve(CallbackService(receiver.receive, lifetime(), tell=events.tell), sockets)
        end_traces()


async def _count_all(notices: NoticeLedger, kinds: list[str]) -> list[None]:
    await notices.count(kinds)
    return [None] * len(kinds)


def run_scheduler(settings: Settings, celery_app: Celery) -> None:
    """Recover and query until TERM or INT; every worker can do the same, so this is for fleets that scale to none."""
    from couponpress_worker.runtime.process import Process
    from couponpress_worker.submission.publisher import Publisher

    log_to_stderr(settings.log)
    stop = threading.Event()

    def end(*_: object) -> None:
        bound_shutdown(settings.timings.shutdown)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with _nights(settings):
        serve_in_english()
        process = Process.start(
            settings, Secrets.read(settings), Publisher(celery_app).publish_again, takes_hints=False
        )
        log.info("scheduler: recovering and querying for partner %s", settings.mchid)
        stop.wait()
    process.close()
    celery_app.close()


def _nights(settings: Settings) -> AbstractContextManager[None]:
    if settings.schedule_file is None:
        return nullcontext()
    try:
        from couponpress_worker.runtime.schedules import nights_of  # its packages are of an extra
    except ModuleNotFoundError as error:
        raise ServiceError(
            gettext("schedules need the package %(name)s; install it with: pip install 'couponpress[nightly]'")
            % {"name": error.name}
        ) from None
    return nights_of(settings, settings.schedule_file)
