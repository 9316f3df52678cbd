"""Writes what happened to specs into the ledger, many moves in one round trip.

Decides when to write: as soon as the last write is done, so that batches grow exactly as large as Redis is slow.
Refuses to lose anything: while Redis is away the moves wait here, and nothing new is sent, for slots come from
the same Redis.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import Move, WorkLedger

log = logging.getLogger(__name__)

#: Moves are gathered for so long before they are written: long enough to share a round trip, short enough that a
#: killed process leaves few answers unwritten (each of those is a request sent twice).
GATHER_SECONDS = 0.05
#: Between two tries of a write that Redis did not answer.
RETRY_SECONDS = 0.5


class Recorder:
    """Gathers moves and writes them; one per process, on the process's event loop."""

    def __init__(self, ledger: WorkLedger) -> None:
        self._ledger = ledger
        self._gathered: dict[str, list[Move]] = defaultdict(list)
        self._written = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def record(self, chunk_id: str, move: Move) -> None:
        """Take a move to be written soon."""
        self._gathered[chunk_id].append(move)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until every move recorded so far is in the ledger."""
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        try:
            while self._gathered:
                await asyncio.sleep(GATHER_SECONDS)
                moves, self._gathered = self._gathered, defaultdict(list)
                await self._write_until_done(moves)
        finally:
            self._writer = None

    async def _write_until_done(self, moves: dict[str, list[Move]]) -> None:
        told = False
        while True:
            try:
                await self._ledger.move(moves)
            except REDIS_AWAY as error:
                if not told:
                    log.warning("Redis does not answer (%s); answers wait here until it does", error)
                    told = True
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if told:
                    log.info("Redis answers again; the waiting answers are recorded")
                return
