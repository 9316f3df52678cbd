"""Chunks are found without hints when no hints come: a process with free hands looks into the ledger itself.

Hints travel through Celery, whose consumer may be deaf: it is still coming back to a Redis that was away, or Redis is
full and refuses its notes. The ledger knows what waits, so a process that was told of nothing for a while and has
room takes up what nobody has in hand. The lease decides who gets a chunk; a hint that comes later finds nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress_worker.periodic import rest
from couponpress_worker.store.leases import Leases
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from couponpress_worker.submission.taking_up import TakingUp

log = logging.getLogger(__name__)

#: Without a hint for so long a process looks itself. A fleet that is busy is given hints more often than that.
QUIET_SECONDS = 2.0
#: And so often: eight chunks last longer than that at any limit that the platform is known to have.
LOOK_EVERY_SECONDS = 0.5


class Unhinted:
    """Takes up chunks that no hint led to; one per process, on its event loop."""

    def __init__(
        self,
        leases: Leases,
        submit: Callable[[str], Awaitable[object]],
        away: Callable[[Exception], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._leases = leases
        self._away = away
        self._stopping = stopping
        self._taken_up = TakingUp(submit, away)
        self._hinted_at = float("-inf")

    def hinted(self) -> None:
        """Hear that a hint came."""
        self._hinted_at = asyncio.get_running_loop().time()

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped; then wait for the chunks in hand."""
        while not stopped.is_set():
            quiet = asyncio.get_running_loop().time() - self._hinted_at > QUIET_SECONDS
            if quiet and not self._stopping():
                try:
                    await self.look()
                except REDIS_AWAY as error:
                    self._away(error)
            await rest(stopped, LOOK_EVERY_SECONDS)
        await self._taken_up.ended()

    async def look(self) -> None:
        """Take up what nobody has in hand, as far as this process has room; hinted chunks take room as well."""
        room = CHUNKS_IN_HAND - self._leases.in_hand
        if room > 0:
            self._taken_up.take_up(await self._leases.untaken(room))
