"""Callbacks that complete no spec: how many of each kind came, and the doctor's test notices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import redis
from redis.asyncio import Redis

from couponpress.keys import Keys

#: How long the doctor's message is kept: longer than the doctor waits for it.
ECHO_KEPT_SECONDS: Final = 600


#: The platform repeats a callback for some 13 minutes.
PASSED_ON_KEPT_SECONDS = 3600


class NoticeLedger:
    """The receiver's side, over an asyncio client."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def count(self, kinds: Iterable[str]) -> None:
        """Count callbacks by their kinds, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for kind in kinds:
            pipeline.hincrby(self._keys.events, kind, 1)
        await pipeline.execute()

    async def note_echo(self, message: str) -> None:
        """Store the message of a test notice; the doctor waits for it."""
        await self._client.set(self._keys.echo(message), 1, ex=ECHO_KEPT_SECONDS)

    async def was_passed_on(self, notice_id: str) -> bool:
        """Whether the other system took this callback before."""
        return bool(await self._client.exists(self._keys.passed_on(notice_id)))

    async def note_passed_on(self, notice_id: str) -> None:
        """Note that the other system took this callback."""
        await self._client.set(self._keys.passed_on(notice_id), 1, ex=PASSED_ON_KEPT_SECONDS)


def echo_came(client: redis.Redis, keys: Keys, message: str) -> bool:
    """Whether the test notice with this message has come to a receiver."""
    return bool(client.exists(keys.echo(message)))
