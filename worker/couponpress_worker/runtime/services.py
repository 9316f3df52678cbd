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
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from couponpress.language import gettext, serve_in_english
from couponpress.partners_watch import PartnersWatch
from couponpress.transport.listening import listen, url_of
from couponpress.transport.log_lines import log_to_stderr
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


def serve_callbacks(
    partners: Sequence[Settings], *, host: str, port: int, watch: PartnersWatch[Settings] | None = None
) -> None:
    """Receive callbacks until TERM or INT.

    Those of a partner come to a path with its id. While there is one partner, it takes them on the plain path as well.
    Of several partners none stops another: neither by its keys nor by its Redis.

    Args:
        partners: their settings.
        host: where to listen.
        port: where to listen.
        watch: of the file of partners, which begins and ends partners; None for a receiver of one partner alone.

    Raises:
        ListenError: the port is taken.
        KeyFileError: a key file cannot be used, of a partner that is alone.
    """
    alone = watch is None
    log_to_stderr(partners[0].log)
    receivers = _Receivers(partners, alone=alone)
    sockets = listen(host, port)
    serve_in_english()

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[None]:
        for one in receivers.by_id.values():
            await one.begin()
        stopped, served = asyncio.Event(), {mchid: one.settings for mchid, one in receivers.by_id.items()}
        watching = [watch.run(stopped, served, receivers.begin, receivers.end)] if watch is not None else []
        watched = asyncio.gather(*watching)
        gc.collect()
        gc.freeze()  # a full collection over everything imported would hold callbacks up
        log.info("receiving callbacks on %s%s", url_of(sockets[0]), CALLBACK_PATH if alone else f"{CALLBACK_PATH}/ID")
        yield
        stopped.set()
        await watched
        await asyncio.gather(*(one.end() for one in receivers.by_id.values()))

    serve(CallbackService(receivers.by_path, lifetime(), tell=receivers.tell), sockets)


class _Receivers:
    """The receivers of all partners that are served, by their ids and by their paths."""

    def __init__(self, partners: Sequence[Settings], *, alone: bool) -> None:
        self.by_id = {one.mchid: PartnerCallbacks(one, alone=alone) for one in partners}
        self.by_path: dict[str, Receiver] = {}
        self._renew_paths()

    def tell(self, event: Event) -> None:
        """Tell every partner of a callback that reached none."""
        for one in self.by_id.values():
            one.events.tell(event)

    async def begin(self, settings: Settings) -> None:
        """Receive callbacks of a partner with these settings from now on."""
        made = PartnerCallbacks(settings, alone=False)
        before, self.by_id[settings.mchid] = self.by_id.get(settings.mchid), made
        self._renew_paths()
        if before is not None:
            await before.end()
        await made.begin()

    async def end(self, mchid: str) -> None:
        """Receive callbacks of a partner no longer."""
        before = self.by_id.pop(mchid)
        self._renew_paths()
        await before.end()

    def _renew_paths(self) -> None:
        paths = {one.path: one.receive for one in self.by_id.values()}
        if len(paths) == 1:
            (paths[CALLBACK_PATH],) = paths.values()
        self.by_path.clear()
        self.by_path.update(paths)


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
