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
from typing import cast

from redis.asyncio import Redis

from couponpress.keys import HELD_SCORE, LANES, Keys
from couponpress.ledger.leases import GivenBack, KeptBack, Leased, LeaseLost, NotLeased, Renewed
from couponpress.ledger.moves import Move
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import WorkLedger
from couponpress_worker.periodic import rest
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.timings import REAL, Timings

log = logging.getLogger(__name__)

#: How often it looks whether Redis was away.
TICK_SECONDS = 0.5
#: More open chunks than this are not looked through at a time, the soonest to run out first.
MOST_LOOKED_AT = 1000


class Leases(WorkLedger):
    """The ledger as one process uses it: leases are taken and given back until Redis has answered."""

    def __init__(self, client: Redis, keys: Keys, watch: RedisWatch, timings: Timings = REAL) -> None:
        lease_ms, take_up_ms = round(timings.lease * 1000), round(timings.take_up * 1000)
        super().__init__(client, keys, lease_ms=lease_ms, take_up_ms=take_up_ms)
        self._watch = watch
        self._numbers = count(1)
        self._in_hand: dict[str, str] = {}
        self._made_when: dict[str, bytes] = {}

    @property
    def in_hand(self) -> int:
        """How many chunks the process has in hand."""
        return len(self._in_hand)

    async def lease(self, chunk_id: str, owner: str) -> Leased | NotLeased:
        """Take a chunk in hand, as `WorkLedger.lease`."""
        if chunk_id in self._in_hand:
            return NotLeased("taken")
        name = self._in_hand[chunk_id] = f"{owner}/{next(self._numbers)}"
        leased: Leased | NotLeased | None = None
        try:
            leased = await self._watch.until_answered(lambda: super(Leases, self).lease(chunk_id, name))
        finally:
            if isinstance(leased, Leased):
                self._made_when[chunk_id] = leased.made
            else:
                self._in_hand.pop(chunk_id, None)
        return leased

    async def renew(self, chunk_id: str, owner: str) -> Renewed | LeaseLost:
        """Keep a lease, as `WorkLedger.renew`."""
        return await super().renew(chunk_id, self._in_hand.get(chunk_id, owner))

    async def give_back(
        self, chunk_id: str, owner: str, kept: Mapping[int, str] | None = None
    ) -> GivenBack | KeptBack | LeaseLost:
        """End a lease, as `WorkLedger.give_back`."""
        try:
            name = self._in_hand.get(chunk_id, owner)
            return await self._watch.until_answered(lambda: super(Leases, self).give_back(chunk_id, name, kept))
        finally:
            self._in_hand.pop(chunk_id, None)
            self._made_when.pop(chunk_id, None)

    async def move(
        self, moves: Mapping[str, Sequence[Move]], made: Mapping[str, bytes] | None = None
    ) -> dict[str, list[bool]]:
        """Make moves, as `WorkLedger.move`; of chunks in hand it is known when they were made."""
        return await super().move(moves, self._made_when if made is None else made)

    async def count_throttled(self, chunk_id: str, answers: int) -> None:
        """Count answers that said "too fast"; a count is not worth a lease."""
        try:
            await super().count_throttled(chunk_id, answers)
        except REDIS_AWAY as error:
            log.info("%d throttled answers are not counted: %s", answers, error)

    async def give_strays_back(self, owner: str) -> list[str]:
        """Give back what stands in the process's name and is not in hand; returns the chunks to publish again."""
        chunks = []
        for chunk_id, name in (await self._leased()).items():
            if name.startswith(f"{owner}/") and self._in_hand.get(chunk_id) != name:
                match await super().give_back(chunk_id, name):
                    case GivenBack(waiting) if waiting:
                        chunks.append(chunk_id)
                log.info("chunk %s was leased to nobody's hand and is given back", chunk_id)
        return chunks

    async def untaken(self, limit: int) -> list[str]:
        """Return open chunks that nobody has in hand, the longest waiting first, hinted or not."""
        chunks: list[str] = []
        for lane in LANES:
            found = await self._open(lane, 0)
            chunks += [chunk_id for chunk_id, name in found.items() if not name and chunk_id not in self._in_hand]
        return chunks[:limit]

    async def _leased(self) -> dict[str, str]:
        now_ms = await self.now_ms()
        found = [await self._open(lane, now_ms) for lane in LANES]
        return {chunk_id: name for chunks in found for chunk_id, name in chunks.items() if name}

    async def _open(self, lane: str, from_ms: int) -> dict[str, str]:
        """Return the open chunks of a lane that no hold keeps back, and the name of the lease of each."""
        ids = await cast(
            Awaitable[list[bytes]],
            self._client.zrangebyscore(self._keys.open(lane), from_ms, HELD_SCORE - 1, start=0, num=MOST_LOOKED_AT),
        )
        if not ids:
            return {}
        chunk_ids = [chunk_id.decode() for chunk_id in ids]
        pipeline = self._client.pipeline(transaction=False)
        for chunk_id in chunk_ids:
            pipeline.hget(self._keys.chunk(chunk_id), "owner")
        names = cast(list[bytes | None], await pipeline.execute())
        return {chunk_id: (name or b"").decode() for chunk_id, name in zip(chunk_ids, names, strict=True)}


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
