"""Urgent chunks are found without a hint: their lane is looked at many times a second.

A hint travels through Celery, whose threads may all have bulk chunks in hand for seconds. So every process also
looks into the ledger itself and submits what it finds beside its threads. The lease decides who gets a chunk; the
hint that comes later finds nothing to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import WorkLedger
from couponpress_worker.recovery import rest

#: How often the lane is looked at: a twentieth of the work of one chunk, and a fifth of the time that an urgent spec
#: may take to the wire.
LOOK_EVERY_SECONDS = 0.05
#: How many urgent chunks a process has in hand beside the chunks of its threads.
MOST_IN_HAND = 32


class UrgentLane:
    """Takes up urgent chunks as they are stored; one per process, on its event loop."""

    def __init__(
        self,
        ledger: WorkLedger,
        submit: Callable[[str], Awaitable[object]],
        away: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """Take what submits a chunk, and what hears each time that Redis did not answer."""
        self._ledger = ledger
        self._submit = submit
        self._away = away
        self._in_hand: dict[str, asyncio.Task[None]] = {}

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped; then wait for the chunks in hand."""
        while not stopped.is_set():
            try:
                await self.look()
            except REDIS_AWAY as error:
                self._away(error)
                await rest(stopped, 1.0)
            await rest(stopped, LOOK_EVERY_SECONDS)
        if self._in_hand:
            await asyncio.wait(self._in_hand.values())

    async def look(self) -> None:
        """Take up what waits, as far as this process has room."""
        room = MOST_IN_HAND - len(self._in_hand)
        for chunk_id in await self._ledger.waiting("urgent", room) if room > 0 else ():
            if chunk_id not in self._in_hand:
                self._in_hand[chunk_id] = asyncio.create_task(self._take_up(chunk_id))

    async def _take_up(self, chunk_id: str) -> None:
        try:
            await self._submit(chunk_id)
        except REDIS_AWAY:
            pass  # the lease runs out, and recovery publishes the chunk
        finally:
            del self._in_hand[chunk_id]
