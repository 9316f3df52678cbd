"""Writes what happened to specs into the ledger, many moves in one round trip.

The next write begins when the last one is done, so a slow Redis gets larger batches. While Redis is away the moves wait
here and nothing is lost; nothing new is sent meanwhile, for slots come from the same Redis. Who listens is told of each
spec that has its outcome, once the ledger has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import Protocol

from couponpress.ledger.moves import Move
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress_worker.events import Tell, unheard
from couponpress_worker.store.endings import tell_endings

#: Moves are gathered for so long before they are written: long enough to share a round trip, short enough that a
#: killed process leaves few answers unwritten (each of those is a request sent twice).
GATHER_SECONDS = 0.05
#: Between two tries of a write that Redis did not answer.
RETRY_SECONDS = 0.5


class TakesMoves(Protocol):
    """Where moves are written: `Leases`, or a ledger's `MoveLedger`."""

    async def move(self, moves: Mapping[str, Sequence[Move]], /) -> Mapping[str, Sequence[bool]]:
        """Make the moves of several chunks, and tell of each whether it was made; may be repeated."""


class Recorder:
    """Gathers moves and writes them; one per process, on the process's event loop."""

    def __init__(
        self, ledger: TakesMoves, away: Callable[[Exception], None] = lambda _: None, tell: Tell = unheard
    ) -> None:
        """Take the ledger, and what hears each time that Redis did not answer."""
        self._ledger = ledger
        self._tell = tell
        self._away = away
        self._gathered: dict[str, list[Move]] = {}
        self._last_write: asyncio.Task[None] | None = None

    def record(self, chunk_id: str, move: Move) -> None:
        """Take a move to be written soon."""
        if not self._gathered:
            self._last_write = asyncio.create_task(self._write_after(self._last_write), context=Context())
        self._gathered.setdefault(chunk_id, []).append(move)

    async def flush(self) -> None:
        """Wait until every move recorded so far is in the ledger; what is recorded meanwhile is not waited for."""
        if self._last_write is not None:
            await asyncio.shield(self._last_write)

    async def _write_after(self, before: asyncio.Task[None] | None) -> None:
        """Write what is gathered from now until the write before is done, and a little longer."""
        if before is not None:
            await asyncio.wait([before])
            del before  # else each write would keep all before it in memory
        await asyncio.sleep(GATHER_SECONDS)
        moves, self._gathered = self._gathered, {}
        await self._write_until_done(moves)

    async def _write_until_done(self, moves: dict[str, list[Move]]) -> None:
        while True:
            try:
                made = await self._ledger.move(moves)
            except REDIS_AWAY as error:
                self._away(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                tell_endings(self._tell, moves, made, "submit")
                return
