"""Notes when each request was sent, for the flight record; one write a second and process.

Decides when notes are written, and that losing some under a crash or while Redis is away is right: the record is a
proof for people, and no request waits for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.send_log import KEPT_MS, pack_moments
from couponpress_worker.periodic import rest

WRITE_EVERY_SECONDS = 1.0
#: What is kept while Redis is away: some minutes at the limit; the oldest notes go first.
MOST_NOTES = 100_000


class FlightRecorder:
    """Gathers the moments of one process and appends them to the fleet's record."""

    def __init__(self, client: Redis, keys: Keys, process: str) -> None:
        self._client = client
        self._keys = keys
        self._process = process
        self._notes: list[int] = []

    def note(self, sent_at_us: int) -> None:
        """Note a request that leaves now; the moment is on Redis's clock, microseconds since 1970."""
        self._notes.append(sent_at_us)

    async def run(self, stopped: asyncio.Event) -> None:
        """Write once a second until the process is stopped, then once more."""
        while not stopped.is_set():
            await rest(stopped, WRITE_EVERY_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Append what was noted; while Redis is away it is kept."""
        notes, self._notes = self._notes, []
        if not notes:
            return
        oldest_kept = max(notes) // 1000 - KEPT_MS
        entry: dict[Any, Any] = {"process": self._process, "moments": pack_moments(notes)}
        try:
            await self._client.xadd(self._keys.flight, entry, minid=f"{oldest_kept}-0", approximate=True)
        except REDIS_AWAY:
            self._notes = (notes + self._notes)[-MOST_NOTES:]
