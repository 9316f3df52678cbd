"""Keeps the leases of one process, and gives back those that it holds by mistake.

Each lease has a name of its own, so that a request may be repeated until it is answered. A lease in the process's
name is a stray when the process does not work on its chunk. Strays come from requests that Redis executed although
the answer was lost, and from a Redis that lost its last second of writes. What happened to a chunk in hand is never
booked to a later chunk of the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count

from couponpress.keys import LANES, Lane
from couponpress.ledger.leases import (
    GivenBack,
    KeptBack,
    Leased,
    LeaseLost,
    NotLeased,
    Renewed,
)
from couponpress.ledger.moves import Move
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import WorkLedger
from couponpress.stopping import rest
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.timings import REAL, Timings

log = logging.getLogger(__name__)

#: How often it looks whether Redis was away.
TICK_SECONDS = 0.5
#: More open chunks than this are not looked through at a time, the soonest to run out first.
MOST_LOOKED_AT = 1000


class Leases:
    """The leases of one process: taken and given back again and again until Redis has answered."""

    def __init__(self, ledger: WorkLedger, watch: RedisWatch) -> None:
        self._ledger = ledger
        self._watch = watch
        self._numbers = count(1)
        self._in_hand: dict[str, str] = {}
        self._asking: set[str] = set()
        self._made_when: dict[str, bytes] = {}

    @property
    def in_hand(self) -> int:
        """How many chunks the process has in hand."""
        return len(self._in_hand) + len(self._asking)

    async def lease_next(self, lane: Lane, owner: str) -> Leased | NotLeased:
        """Take the next chunk of a lane in hand, as `LeaseLedger.lease_next` does, under a name of the lease's own."""
        name = f"{owner}/{next(self._numbers)}"
        asked = count()

        async def ask() -> Leased | NotLeased:
            # After an answer that was lost there may be a lease already, of which only Redis knows.
            leased = await self._leased() if next(asked) else {}
            for chunk_id in (chunk_id for chunk_id, owned_by in leased.items() if owned_by == name):
                return await self._ledger.leases.lease(chunk_id, name)
            return await self._ledger.leases.lease_next(lane, name)

        self._asking.add(name)
        try:
            leased = await self._watch.until_answered(ask)
            if isinstance(leased, Leased) and leased.chunk_id in self._in_hand:
                # A server that lost its last second gave an id again, and the first chunk is still in hand.
                await self._watch.until_answered(lambda: self._ledger.leases.give_back(leased.chunk_id, name))
                return NotLeased("taken")
            if isinstance(leased, Leased):
                self._in_hand[leased.chunk_id] = name
                self._made_when[leased.chunk_id] = leased.made
        finally:
            self._asking.remove(name)
        return leased

    async def renew(self, chunk_id: str, owner: str) -> Renewed | LeaseLost:
        """Keep a lease, as `LeaseLedger.renew` does, asked once."""
        return await self._ledger.leases.renew(chunk_id, self._in_hand.get(chunk_id, owner))

    async def give_back(
        self, chunk_id: str, owner: str, kept: Mapping[int, str] | None = None
    ) -> GivenBack | KeptBack | LeaseLost:
        """End a lease, as `LeaseLedger.give_back` does."""
        try:
            name = self._in_hand.get(chunk_id, owner)
            return await self._watch.until_answered(lambda: self._ledger.leases.give_back(chunk_id, name, kept))
        finally:
            self._in_hand.pop(chunk_id, None)
            self._made_when.pop(chunk_id, None)

    async def move(self, moves: Mapping[str, Sequence[Move]]) -> dict[str, list[bool]]:
        """Make moves that answers led to, as `MoveLedger.move` does.

        Moves of a chunk in hand touch no later chunk of the same id.
        """
        return await self._ledger.moves.move(moves, self._made_when, by="submit")

    async def count_throttled(self, chunk_id: str, answers: int) -> None:
        """Count answers that said "too fast"; they stay uncounted while Redis is away, and the lease is given back."""
        try:
            await self._ledger.moves.count_throttled(chunk_id, answers)
        except REDIS_AWAY as error:
            log.info("%d throttled answers are not counted: %s", answers, error)

    async def give_strays_back(self, owner: str) -> list[str]:
        """Give back what stands in the process's name and is not in hand; returns the chunks to publish again."""
        chunks = []
        for chunk_id, name in (await self._leased()).items():
            in_use = self._in_hand.get(chunk_id) == name or name in self._asking
            if name.startswith(f"{owner}/") and not in_use:
                match await self._ledger.leases.give_back(chunk_id, name):
                    case GivenBack(waiting) if waiting:
                        chunks.append(chunk_id)
                log.info("chunk %s was leased to nobody's hand and is given back", chunk_id)
        return chunks

    async def untaken(self, limit: int) -> list[str]:
        """Return open chunks that nobody has in hand, the longest waiting first, hinted or not."""
        chunks: list[str] = []
        for lane in LANES:
            found = await self._ledger.leases.owners(lane, 0, MOST_LOOKED_AT)
            chunks += [chunk_id for chunk_id, name in found.items() if not name and chunk_id not in self._in_hand]
        return chunks[:limit]

    async def _leased(self) -> dict[str, str]:
        now_ms = await self._ledger.queries.now_ms()
        found = [await self._ledger.leases.owners(lane, now_ms, MOST_LOOKED_AT) for lane in LANES]
        return {chunk_id: name for chunks in found for chunk_id, name in chunks.items() if name}


async def give_strays_back(
    leases: Leases,
    watch: RedisWatch,
    owner: str,
    publish_again: Callable[[list[str]], Awaitable[None]],
    stopped: asyncio.Event,
    timings: Timings = REAL,
) -> None:
    """Look for strays now and then, and twice after each absence of Redis, until the process is stopped."""
    loop = asyncio.get_running_loop()
    seen, due = watch.returns, loop.time() + timings.stray_look
    while not stopped.is_set():
        if watch.returns != seen:
            seen, due = watch.returns, min(due, loop.time() + 1.0)
        if loop.time() >= due:
            with suppress(*REDIS_AWAY):  # it is told elsewhere, and looked for again
                await publish_again(await leases.give_strays_back(owner))
            due = loop.time() + timings.stray_look
        await rest(stopped, TICK_SECONDS)
