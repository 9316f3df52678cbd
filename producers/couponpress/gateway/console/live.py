"""Parts of pages brought up to date: read once a second for all who look, and not at all while nobody does.

A part is rendered once for all viewers of the same language, role and brands. Streams end at once when the server
stops, when the login ends, and when the browser goes away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable

from couponpress.stopping import rest

#: How often a part is read at most.
TICK_SECONDS = 1.0


class Live:
    """What all streams of one process share."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: dict[Hashable, tuple[float, asyncio.Task[str]]] = {}
        self._stopped = asyncio.Event()
        self.reads = 0
        """How many parts were read; for tests and measurements."""

    def stop(self) -> None:
        """End every stream."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether the server stops."""
        return self._stopped.is_set()

    async def part(self, key: Hashable, read: Callable[[], Awaitable[str]]) -> str:
        """Return a part as it was read within the last second, for everybody with the same key."""
        now = self._monotonic()
        for other in [other for other, (at, task) in self._kept.items() if now - at >= TICK_SECONDS and task.done()]:
            del self._kept[other]
        if key not in self._kept:
            self.reads += 1
            self._kept[key] = (now, asyncio.ensure_future(read()))
        return await asyncio.shield(self._kept[key][1])

    async def rest(self) -> None:
        """Wait until the next tick, or until the server stops."""
        await rest(self._stopped, TICK_SECONDS)
