"""Runs the callback receiver or the scheduler in the foreground until TERM or INT.

What only the scheduler needs is imported when it runs: a receiver needs no Celery, and starts sooner without.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from couponpress.errors import CouponpressError
from couponpress.language import gettext, serve_in_english
from couponpress.transport.listening import listen, url_of
from couponpress.transport.log_lines import log_to_stderr
from couponpress.transport.redis_refusals import redis_errors_told
from couponpress.transport.serve import serve
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.completion.callback_asgi import CallbackService, Receiver
from couponpress_worker.errors import ServiceError
from couponpress_worker.events import Event
from couponpress_worker.runtime.callback_partner import PartnerCallbacks
from couponpress_worker.runtime.shutdown import bound_shutdown
from couponpress_worker.settings import Secrets, Settings

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)


def serve_callbacks(partners: Sequence[Settings], *, host: str, port: int) -> None:
    """Receive callbacks until TERM or INT.

    Those of a partner come to a path with its id. A receiver of one partner takes them on the plain path as well. Of
    several partners none stops another: neither by its keys nor by its Redis.

    Raises:
        ListenError: the port is taken.
        KeyFileError: a key file cannot be used, of a partner that is alone.
    """
    alone = len(partners) == 1
    log_to_stderr(partners[0].log)
    receivers = [PartnerCallbacks(settings, alone=alone) for settings in partners]
    sockets = listen(host, port)
    serve_in_english()
    paths: dict[str, Receiver] = {one.path: one.receive for one in receivers}
    if alone:
        paths[CALLBACK_PATH] = receivers[0].receive

    def tell(event: Event) -> None:
        for one in receivers:
            one.events.tell(event)

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[None]:
        for one in receivers:
            try:
                with redis_errors_told(one.settings.redis_url_shown):
                    await one.ping()
            except CouponpressError as error:
                if alone:
                    raise
                log.error("partner %s: its callbacks are answered with 503: %s", one.settings.mchid, error)  # noqa: TRY400 - a sentence
        stopped = asyncio.Event()
        running = [asyncio.create_task(one.run(stopped)) for one in receivers]
        gc.collect()
        gc.freeze()  # a full collection over everything imported would hold callbacks up
        log.info("receiving callbacks on %s%s", url_of(sockets[0]), CALLBACK_PATH if alone else f"{CALLBACK_PATH}/ID")
        yield
        stopped.set()
        await asyncio.gather(*running)

    with ExitStack() as announced:
        for one in receivers:
            announced.enter_context(one.announcer)
        serve(CallbackService(paths, lifetime(), tell=tell), sockets)
        for one in receivers:
            one.close()


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
