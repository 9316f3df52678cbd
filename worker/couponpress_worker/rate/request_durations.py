"""Adds how long this process's calls of the platform took to the fleet's histogram: one write a second and process.

The histogram is for people, and no request waits for it. While Redis is away the counts wait here. A crash loses those
of the last second; a write whose reply was lost may count twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.request_durations import Durations
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.stopping import rest
from couponpress_worker.events import Answered

WRITE_EVERY_SECONDS = 1.0


class DurationRecorder:
    """Adds up the calls of one process, and writes them to the fleet's histogram. Listens to `Answered`."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._key = keys.request_durations
        self._durations = Durations()

    def answered(self, event: Answered[Any]) -> None:
        """Count a call that came to its end."""
        self._durations.note(event.kind, event.status, event.error, event.seconds)

    async def run(self, stopped: asyncio.Event) -> None:
        """Write once a second until the process is stopped, then once more."""
        while not stopped.is_set():
            await rest(stopped, WRITE_EVERY_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what was added up. Whatever keeps it from being written, it is kept for the next time."""
        changes = self._durations.take()
        if not changes:
            return
        pipeline = self._client.pipeline()
        for field, change in changes.items():
            pipeline.hincrby(self._key, field, change)
        try:
            await pipeline.execute()
        except Exception as error:
            self._durations.put_back(changes)
            if not isinstance(error, REDIS_AWAY):
                raise
