"""Keeps a service that serves several partners in step with their file, without a restart.

The file, and the files with addresses that it names, are looked at every few seconds. A partner that was added begins,
one that was taken out ends, and one whose settings changed begins anew. A file that cannot be used is logged once with
its cure, and the partners that were read before go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from couponpress.errors import CouponpressError, SettingsError
from couponpress.partners import files_of
from couponpress.settings import ProducerSettings, partners_file
from couponpress.stopping import rest
from couponpress.watched_files import LOOK_EVERY_SECONDS, WatchedFiles

log = logging.getLogger(__name__)

S = TypeVar("S", bound=ProducerSettings)
#: Serves a partner from now on, in the place of the one of the same id; raises CouponpressError.
Begin = Callable[[S], Awaitable[None]]
#: Serves the partner of an id no longer.
End = Callable[[str], Awaitable[None]]


def watch_partners(read: Callable[[], Sequence[S]]) -> PartnersWatch[S] | None:
    """Return what watches the file of partners, to be called before it is read; None for a service of one partner."""
    file = partners_file()
    return PartnersWatch(file, read) if file else None


class PartnersWatch(Generic[S]):
    """Begins and ends partners as their file changes; for one event loop."""

    def __init__(self, path: Path, read: Callable[[], Sequence[S]]) -> None:
        """Note how the file is now; to be made before it is read, so that no change is missed.

        Args:
            path: the file.
            read: returns the settings of all partners; raises SettingsError.
        """
        self._path, self._read = path, read
        self._files = WatchedFiles(lambda: files_of(path))

    async def run(self, stopped: asyncio.Event, served: Mapping[str, S], begin: Begin[S], end: End) -> None:
        """Look until the process is stopped; `served` are the partners that are served now, by their ids."""
        known = dict(served)
        while not stopped.is_set():
            try:
                await self.look(known, begin, end)
            except Exception:  # what nobody foresaw of one change does not hide the next one
                log.exception("not all changes of %s were taken up", self._path)
            await rest(stopped, LOOK_EVERY_SECONDS)

    async def look(self, known: dict[str, S], begin: Begin[S], end: End) -> None:
        """Look once, and take up what changed; `known` is changed to what the file holds."""
        if not await asyncio.to_thread(self._files.changed):
            return
        try:
            told = {one.mchid: one for one in await asyncio.to_thread(self._read)}
        except SettingsError as error:
            log.error("the partners that were read before are served, for their file cannot be used: %s", error)  # noqa: TRY400 - a sentence
            return
        for mchid in known.keys() - told.keys():
            del known[mchid]
            await end(mchid)
            log.info("partner %s is not served any more: it is not in %s", mchid, self._path)
        for mchid in [mchid for mchid, settings in told.items() if settings != known.get(mchid)]:
            known[mchid] = told[mchid]
            try:
                await begin(told[mchid])
                log.info("partner %s is served as %s has it now", mchid, self._path)
            except CouponpressError as error:
                log.error("partner %s is not served as %s has it now: %s", mchid, self._path, error)  # noqa: TRY400 - a sentence
