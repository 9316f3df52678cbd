"""Reads the key files again when one of them changes, so that new keys need no restart.

The files are looked at every few seconds. When the new files cannot be used, that is logged once and the keys that were
read before stay in use. A change of the settings themselves is not looked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from couponpress.stopping import rest
from couponpress.watched_files import LOOK_EVERY_SECONDS, WatchedFiles
from couponpress_worker.errors import KeyFileError
from couponpress_worker.settings import Secrets, Settings

log = logging.getLogger(__name__)


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
        self._files = WatchedFiles(settings.key_files)

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped."""
        while not stopped.is_set():
            await self.look()
            await rest(stopped, LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Look once, and hand over what changed."""
        if not await asyncio.to_thread(self._files.changed):
            return
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
