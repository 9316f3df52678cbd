"""At most one process of the fleet does a job at a time, and another takes over when it dies."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

from redis.asyncio import Redis

from couponpress_worker.timings import REAL, Timings

#: For this share of its span a lead counts as kept without asking Redis: several loops ask, once a second each.
SURE_SHARE = 0.3


class Leadership:
    """At most one process at a time holds the lead. Should two lead for a moment, they only do the same work twice."""

    def __init__(
        self,
        client: Redis,
        key: str,
        owner: str,
        timings: Timings = REAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._clock = clock
        self._key = key
        self._owner = owner
        self._lead_ms = round(timings.lead * 1000)
        self._sure_seconds = timings.lead * SURE_SHARE
        self._sure_until = float("-inf")

    async def mine(self) -> bool:
        """Take or keep the lead; False while another process has it."""
        now = self._clock()
        if now < self._sure_until:
            return True
        # One command takes the lead, or says who has it.
        leader = await self._client.set(self._key, self._owner, nx=True, px=self._lead_ms, get=True)
        if leader is not None and leader != self._owner.encode():
            return False
        if leader is not None and not await cast(Awaitable[int], self._client.pexpire(self._key, self._lead_ms)):
            return False
        self._sure_until = now + self._sure_seconds
        return True

    async def resign(self) -> None:
        """Give the lead up, so that another process need not wait until it expires."""
        self._sure_until = float("-inf")
        if await self._client.get(self._key) == self._owner.encode():
            await self._client.delete(self._key)
