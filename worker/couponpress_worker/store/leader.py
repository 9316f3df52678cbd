"""At most one process of the fleet does a job at a time, and another takes over when it dies."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis

from couponpress_worker.timings import REAL, Timings


class Leadership:
    """At most one process at a time holds the lead. Should two lead for a moment, they only do the same work twice."""

    def __init__(self, client: Redis, key: str, owner: str, timings: Timings = REAL) -> None:
        self._client = client
        self._key = key
        self._owner = owner
        self._lead_ms = round(timings.lead * 1000)

    async def mine(self) -> bool:
        """Take or keep the lead; False while another process has it."""
        if await self._client.set(self._key, self._owner, nx=True, px=self._lead_ms):
            return True
        if await self._client.get(self._key) != self._owner.encode():
            return False
        return bool(await cast(Awaitable[int], self._client.pexpire(self._key, self._lead_ms)))

    async def resign(self) -> None:
        """Give the lead up, so that another process need not wait until it expires."""
        if await self._client.get(self._key) == self._owner.encode():
            await self._client.delete(self._key)
