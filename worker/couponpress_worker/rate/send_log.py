"""Keeps the moment of every submission that left, for the flight record: one write a second and process.

The record is a proof for people, and no request waits for it. While Redis is away the moments wait here, the oldest go
first beyond `MOST_NOTES`. A crash loses those of the last second.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.send_log import KEPT_MS, pack_moments
from couponpress.stopping import rest
from couponpress_worker.events import Sent

WRITE_EVERY_SECONDS = 1.0
#: What is kept while Redis is away: some minutes at the limit; the oldest notes go first.
MOST_NOTES = 100_000


class FlightRecorder:
    """Gathers the moments of one process, and appends them to the fleet's record. Listens to `Sent`."""

    def __init__(self, client: Redis, keys: Keys, process: str) -> None:
        self._client = client
        self._keys = keys
        self._process = process
        self._notes: list[int] = []

    def sent(self, event: Sent) -> None:
        """Note a submission that leaves now; other requests do not count against its limit."""
        if event.kind == "submit":
            self._notes.append(event.moment_us)

    async def run(self, stopped: asyncio.Event) -> None:
        """Write once a second until the process is stopped, then once more."""
        while not stopped.is_set():
            await rest(stopped, WRITE_EVERY_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Append what was noted. Whatever keeps it from being written, it is kept for the next time."""
        notes, self._notes = self._notes, []
        if not notes:
            return
        oldest_kept = max(notes) // 1000 - KEPT_MS
        entry: dict[Any, Any] = {"process": self._process, "moments": pack_moments(notes)}
        try:
            await self._client.xadd(self._keys.flight, entry, minid=f"{oldest_kept}-0", approximate=True)
        except Exception as error:
            self._notes = (notes + self._notes)[-MOST_NOTES:]
            if not isinstance(error, REDIS_AWAY):
                raise
