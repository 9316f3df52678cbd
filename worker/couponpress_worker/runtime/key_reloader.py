"""Reads the key files again when one of them changes, so that new keys need no restart.

The files are looked at every few seconds. A change is taken up when the files have been the same for two looks, for
people and deployments replace several files one after the other. When the new files cannot be used, that is logged once
and the keys that were read before stay in use. A change of the settings themselves needs a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from couponpress_worker.errors import KeyFileError
from couponpress_worker.periodic import rest
from couponpress_worker.settings import Secrets, Settings

log = logging.getLogger(__name__)

#: How often the files are looked at.
LOOK_EVERY_SECONDS = 2.0

#: What tells one state of a file from another: when it or its rights were changed, its size and its place on the disk.
Stamp = tuple[int, int, int]


class KeyReloader:
    """Hands over the keys of the settings' files each time that they changed; for one event loop."""

    def __init__(self, settings: Settings, *take: Callable[[Secrets], None]) -> None:
        """Note how the files are now: their keys are in use.

        Args:
            settings: name the files.
            take: are given the new keys, on the event loop.
        """
        self._settings = settings
        self._take = take
        self._taken = self._stamps()
        self._before = self._taken

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped."""
        while not stopped.is_set():
            await self.look()
            await rest(stopped, LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Look once, and hand over what changed."""
        now = await asyncio.to_thread(self._stamps)
        settled, self._before = now == self._before, now
        if not settled or now == self._taken:
            return
        self._taken = now  # also when it cannot be used: the next change is told again
        try:
            keys = await asyncio.to_thread(Secrets.read, self._settings)
        except KeyFileError as error:
            log.error("a key file changed and cannot be used, so the keys read before stay in use: %s", error)  # noqa: TRY400 - a sentence
            return
        for take in self._take:
            take(keys)
        log.info(
            "key files were read again: signing as serial %s, platform keys %s",
            keys.serial_no(self._settings),
            ", ".join(keys.public_keys),
        )

    def _stamps(self) -> Mapping[Path, Stamp | None]:
        return {path: _stamp(path) for path in self._settings.key_files()}


def _stamp(path: Path) -> Stamp | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ctime_ns, told.st_size, told.st_ino
