"""Stores for people that a process of the fleet finds the platform down, since when and why.

Kept for seconds, so it is gone when the outage is, or when nobody is left who would know. Nothing depends on it: each
process decides for itself whether the platform is down.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import cast

import redis
from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.stored import from_stored

#: A process writes it every second. When it was not written for this time, no process finds the platform down.
TOLD_MS = 5_000


@dataclass(frozen=True, slots=True)
class PlatformDown:
    """Since when (seconds since 1970) the platform is found to be down, and what the last call came to."""

    since: float
    reason: str


async def tell_down(client: Redis, keys: Keys, told: PlatformDown) -> None:
    """Note that this process finds the platform down; of several processes the latest note counts.

    Raises:
        redis.RedisError: Redis did not take it.
    """
    await client.set(keys.outage, json.dumps(asdict(told), ensure_ascii=False), px=TOLD_MS)


def read_down(client: redis.Redis, keys: Keys) -> PlatformDown | None:
    """Return the latest note, while a process still finds the platform down."""
    return down_of(cast(bytes | None, client.get(keys.outage)))


def down_of(told: bytes | None) -> PlatformDown | None:
    """Read a note as it is stored; None when there is none."""
    return from_stored(PlatformDown, json.loads(told)) if told else None
