"""Chunks that no hint led to, in hand beside Celery's threads.

Decides nothing: `urgent` and `unhinted` say which chunks, and how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from couponpress.ledger.scripts import REDIS_AWAY


class TakingUp:
    """Submits chunks, each once at a time; for one event loop."""

    def __init__(self, submit: Callable[[str], Awaitable[object]], away: Callable[[Exception], None]) -> None:
        """Take what submits a chunk, and what hears each time that Redis did not answer."""
        self._submit = submit
        self._away = away
        self._in_hand: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many are in hand."""
        return len(self._in_hand)

    def take_up(self, chunk_ids: Iterable[str]) -> None:
        """Begin to submit those that are not in hand."""
        for chunk_id in chunk_ids:
            if chunk_id not in self._in_hand:
                self._in_hand[chunk_id] = asyncio.create_task(self._take_up(chunk_id))

    async def ended(self) -> None:
        """Wait until none is in hand."""
        if self._in_hand:
            await asyncio.wait(self._in_hand.values())

    async def _take_up(self, chunk_id: str) -> None:
        try:
            await self._submit(chunk_id)
        except REDIS_AWAY as error:  # the lease runs out, and recovery publishes the chunk
            self._away(error)
        finally:
            del self._in_hand[chunk_id]
