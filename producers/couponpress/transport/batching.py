"""Writes that arrive together are made together, and each caller hears of its own only once it is made.

A batch waits a moment for more items, until there are enough, and holds MOST_AT_ONCE at most. When a write fails, every
caller of its batch gets the error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

from couponpress.stopping import rest

#: Long enough that those of a busy moment share their round trips, short beside the 5 s that the platform waits.
BATCH_SECONDS = 0.01
#: The most that go at once: a burst becomes several pipelines, none of which holds Redis up for long.
MOST_AT_ONCE = 500

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items for `write`, which gets a list of them and returns a result for each, in order."""

    def __init__(
        self,
        write: Callable[[list[Item]], Awaitable[list[Result]]],
        *,
        seconds: float = BATCH_SECONDS,
        enough: int = MOST_AT_ONCE,
    ) -> None:
        """Take how long a batch waits for more items, and how many are not waited for any longer."""
        self._write = write
        self._seconds = seconds
        self._enough = enough
        self._full = asyncio.Event()
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def put(self, item: Item) -> Result:
        """Return the item's result once it is written; raises what the write raised, for all that went with it.

        An item is written also when its caller gives up.
        """
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        if len(self._waiting) >= self._enough:
            self._full.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), context=Context())
        return await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) < self._enough:
                    self._full.clear()
                    await rest(self._full, self._seconds)
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
            for _, written in batch:
                if not written.done():
                    written.set_exception(error)
        else:
            for (_, written), result in zip(batch, results, strict=True):
                if not written.done():
                    written.set_result(result)
