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
from couponpress_worker.periodic import rest
from couponpress_worker.submission.taking_up import TakingUp

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
        self._away = away
        self._taken_up = TakingUp(submit, away)

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped; then wait for the chunks in hand."""
        while not stopped.is_set():
            try:
                await self.look()
            except REDIS_AWAY as error:
                self._away(error)
                await rest(stopped, 1.0)
            await rest(stopped, LOOK_EVERY_SECONDS)
        await self._taken_up.ended()

    async def look(self) -> None:
        """Take up what waits, as far as this process has room."""
        room = MOST_IN_HAND - len(self._taken_up)
        if room > 0:
            self._taken_up.take_up(await self._ledger.waiting("urgent", room))
