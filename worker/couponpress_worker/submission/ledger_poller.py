"""Finds chunks in the ledger that no hint led to, and submits them beside Celery's threads.

Hints travel through Celery. They come late when all of its threads have bulk chunks in hand, and not at all while its
consumer reconnects or a full Redis refuses its messages. So each process looks into the ledger itself: into the urgent
lane many times a second, and into all lanes once no hint has come for a while. The lease decides who gets a chunk; a
hint that comes later finds nothing to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from couponpress.ledger.leases import LeaseLedger
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.stopping import rest
from couponpress_worker.periodic import Failures
from couponpress_worker.store.leases import Leases
from couponpress_worker.timings import REAL, Timings

#: How often the urgent lane is looked at: a twentieth of the work of one chunk, and a fifth of the time that an urgent
#: spec may take to the wire.
URGENT_EVERY_SECONDS = 0.05
#: How many urgent chunks a process has in hand beside the chunks of its threads.
MOST_URGENT = 32


class _FoundChunks:
    """Submits chunks, each once at a time; for one event loop."""

    def __init__(
        self, submit: Callable[[str], Awaitable[object]], away: Callable[[Exception], None], failures: Failures | None
    ) -> None:
        self._submit = submit
        self._away = away
        self._failures = failures or Failures()
        self._in_hand: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._in_hand)

    def begin(self, chunk_ids: Iterable[str]) -> None:
        """Begin to submit those that are not in hand."""
        for chunk_id in chunk_ids:
            if chunk_id not in self._in_hand:
                self._in_hand[chunk_id] = asyncio.create_task(self._one(chunk_id))

    async def ended(self) -> None:
        """Wait until none is in hand."""
        if self._in_hand:
            await asyncio.wait(self._in_hand.values())

    async def _one(self, chunk_id: str) -> None:
        try:
            await self._submit(chunk_id)
        except REDIS_AWAY as error:  # the lease expires, and recovery publishes the chunk
            self._away(error)
        except Exception as error:  # noqa: BLE001 - the same, and nobody waits for this task
            self._failures.note("chunk without a hint", error)
        finally:
            del self._in_hand[chunk_id]


class UrgentLane:
    """Submits urgent chunks as they are stored; one per process, on its event loop."""

    def __init__(
        self,
        ledger: LeaseLedger,
        submit: Callable[[str], Awaitable[object]],
        away: Callable[[Exception], None] = lambda _: None,
        failures: Failures | None = None,
    ) -> None:
        """Take what submits a chunk, what hears that Redis did not answer, and where unforeseen errors are counted."""
        self._ledger = ledger
        self._away = away
        self._found = _FoundChunks(submit, away, failures)

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped; then wait for the chunks in hand."""
        while not stopped.is_set():
            try:
                await self.look()
            except REDIS_AWAY as error:
                self._away(error)
                await rest(stopped, 1.0)
            await rest(stopped, URGENT_EVERY_SECONDS)
        await self._found.ended()

    async def look(self) -> None:
        """Submit what waits, as far as this process has room."""
        room = MOST_URGENT - len(self._found)
        if room > 0:
            self._found.begin(await self._ledger.waiting("urgent", room))


class Unhinted:
    """Submits chunks of all lanes while no hints come; one per process, on its event loop."""

    def __init__(
        self,
        leases: Leases,
        submit: Callable[[str], Awaitable[object]],
        away: Callable[[Exception], None],
        stopping: Callable[[], bool],
        *,
        most_in_hand: int,
        failures: Failures | None = None,
        timings: Timings = REAL,
    ) -> None:
        """Take the same as `UrgentLane`, and how many chunks a process may have in hand, hinted ones included."""
        self._leases = leases
        self._away = away
        self._stopping = stopping
        self._most_in_hand = most_in_hand
        self._timings = timings
        self._found = _FoundChunks(submit, away, failures)
        self._hinted_at = float("-inf")

    def hinted(self) -> None:
        """Note that a hint came."""
        self._hinted_at = asyncio.get_running_loop().time()

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped; then wait for the chunks in hand."""
        while not stopped.is_set():
            quiet = asyncio.get_running_loop().time() - self._hinted_at > self._timings.unhinted_quiet
            if quiet and not self._stopping():
                try:
                    await self.look()
                except REDIS_AWAY as error:
                    self._away(error)
            await rest(stopped, self._timings.unhinted_look)
        await self._found.ended()

    async def look(self) -> None:
        """Submit what nobody has in hand, as far as this process has room."""
        room = self._most_in_hand - self._leases.in_hand
        if room > 0:
            self._found.begin(await self._leases.untaken(room))
