"""Leases: which process has a chunk in hand, for how long, and what becomes of chunks that nobody has.

A process may send specs of a chunk only while it holds its lease.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import Redis

from couponpress.errors import DamagedChunkError
from couponpress.keys import HELD_SCORE, LANES, Keys, Lane, lane_of, run_of, run_scope
from couponpress.ledger.chunks import Row
from couponpress.ledger.dead_letters import LOST_LEASES, killed_its_workers
from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.fleet_queries import FleetQueries, standing_of
from couponpress.ledger.moves import TAKE_UP_MS, MoveLedger, compact
from couponpress.ledger.scripts import script

#: How long a lease lives without being renewed.
LEASE_MS = 30_000
#: After this part of a lease a suspect chunk that a process may not take is offered again.
SUSPECT_PART = 6
#: The version of chunk records that this code reads and writes.
RECORD_VERSION = b"1"

WhyNot = Literal["nothing", "taken", "held", "suspect", "dead letter", "capped"]


@dataclass(frozen=True, slots=True)
class Leased:
    """A chunk in hand: its rows, of each the state letter and the tries spent; when it was made, in which traces."""

    chunk_id: str
    rows: list[Row]
    states: str
    tries: list[int]
    made: bytes = b""
    trace: str = ""

    @property
    def made_us(self) -> int:
        """When the chunk was made, on Redis's clock, microseconds since 1970; 0 when its record does not tell."""
        seconds, _, microseconds = self.made.partition(b".")
        return int(seconds or 0) * 1_000_000 + int(microseconds or 0)

    def waiting(self) -> list[int]:
        """Return the positions that are to be sent."""
        return [position for position, letter in enumerate(self.states) if letter == "w"]


@dataclass(frozen=True, slots=True)
class NotLeased:
    """The chunk was not taken in hand.

    Attributes:
        why: `nothing` of it waits; it is `taken` by another process; it is `held`, as is its run; it is a `suspect`,
            and this process has another suspect in hand; it became a `dead letter`; every brand that has chunks rests,
            because it is `capped`.
        seconds: until the first of them goes on.
    """

    why: WhyNot
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Renewed:
    """The lease lives for another LEASE_MS."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The lease expired, and another process may have the chunk: nothing of it may be sent."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The lease was ended. While specs of the chunk still wait to be sent, the chunk is to be published again."""

    waiting: int


@dataclass(frozen=True, slots=True)
class KeptBack:
    """The lease was ended, and holds keep back everything that waits: a release brings the chunk back."""


class LeaseLedger:
    """The acts on leases."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        queries: FleetQueries,
        moves: MoveLedger,
        holds: FleetHolds,
        *,
        lease_ms: int = LEASE_MS,
        take_up_ms: int = TAKE_UP_MS,
        broker: Redis | None = None,
    ) -> None:
        self._client = client
        self._broker = broker or client
        self._keys = keys
        self._queries = queries
        self._moves = moves
        self._holds = holds
        self._lease_ms = lease_ms
        self._take_up_ms = take_up_ms
        self._lease = client.register_script(script("lease"))
        self._renew = client.register_script(script("renew"))
        self._give_back = client.register_script(script("give_back"))
        self._abandoned = client.register_script(script("abandoned"))

    async def lease(self, chunk_id: str, owner: str) -> Leased | NotLeased:
        """Lease a certain chunk, also one that the owner has already, or say why not."""
        return await self._ask(lane_of(chunk_id), chunk_id, owner)

    async def lease_next(self, lane: Lane, owner: str) -> Leased | NotLeased:
        """Lease the next chunk of a lane (`flows.lua`), or say why not; an owner is a process, `/` and which lease."""
        return await self._ask(lane, "", owner)

    async def _ask(self, lane: Lane, wanted: str, owner: str) -> Leased | NotLeased:
        keys = self._keys
        names = [keys.open(lane), keys.holds, keys.suspect(owner.partition("/")[0])]
        names += [keys.flows(lane), keys.shares, keys.share_rests]
        values: list[str | int] = [wanted, owner, self._lease_ms, HELD_SCORE, LOST_LEASES, keys.chunk("")]
        values.append(self._lease_ms // SUSPECT_PART)
        told, *rest = cast(list[Any], await self._lease(names, values))
        while told == b"more":
            told, *rest = cast(list[Any], await self._lease(names, values))
        if told == b"capped":
            return NotLeased("capped", max(rest[0], 0) / 1000)
        if told == b"damaged":
            await self._moves.dead_letter(rest[0].decode(), "its record is not whole")
            return NotLeased("dead letter")
        if told != b"leased":
            return NotLeased(cast(WhyNot, told.decode()))
        return await self._read(owner, *rest)

    async def _read(
        self, owner: str, leased: bytes, stored: bytes, states: bytes, tries: bytes, version: bytes, *of_past: bytes
    ) -> Leased | NotLeased:
        """Read what was leased; what this process cannot read is given back."""
        chunk_id, (made, trace) = leased.decode(), of_past
        if version != RECORD_VERSION:  # nobody may touch what he cannot read; a newer worker can
            cure = "upgrade every worker, then `couponpress resume` the run"
            await self._holds.hold(
                run_scope(run_of(chunk_id)),
                f"chunk {chunk_id} has a record of version {version.decode()!r}",
                cure,
                time.time(),
            )
            await self.give_back(chunk_id, owner)
            return NotLeased("held")
        try:
            standing = standing_of(stored, states, tries, made)
        except DamagedChunkError as error:
            await self._moves.dead_letter(chunk_id, str(error))
            await self.give_back(chunk_id, owner)
            return NotLeased("dead letter")
        return Leased(chunk_id, *standing, trace.decode())

    async def renew(self, chunk_id: str, owner: str) -> Renewed | LeaseLost:
        """Keep a lease for its time once more."""
        keys = [self._keys.chunk(chunk_id), self._keys.open(lane_of(chunk_id))]
        return Renewed() if await self._renew(keys, [chunk_id, owner, self._lease_ms]) else LeaseLost()

    async def give_back(
        self, chunk_id: str, owner: str, kept: Mapping[int, str] | None = None
    ) -> GivenBack | KeptBack | LeaseLost:
        """End a lease.

        Args:
            chunk_id: the chunk.
            owner: who leased it.
            kept: positions that were not sent, and the scope of the hold that keeps each of them back.
        """
        lane = lane_of(chunk_id)
        keys = [self._keys.chunk(chunk_id), self._keys.open(lane), self._keys.holds, self._keys.flows(lane)]
        keys += [self._keys.shares, self._keys.share_rests]
        values: list[str | int] = [chunk_id, owner, self._take_up_ms, HELD_SCORE, compact(dict(kept or {}))]
        told, *waiting = cast(list[Any], await self._give_back(keys, values))
        if told == b"given back":
            return GivenBack(waiting[0])
        return KeptBack() if told == b"kept back" else LeaseLost()

    async def abandoned(self, limit: int = 500) -> list[str]:
        """Return chunks that nobody took up, or whose lease ran out; the lease is over and their time starts anew.

        Those whose leases were lost LOST_LEASES times in a row become dead letters instead.
        """
        chunks: list[str] = []
        for lane in LANES:
            values: list[int | str] = [limit, self._keys.chunk(""), self._take_up_ms, LOST_LEASES]
            publish, condemned = cast(
                list[list[bytes]], await self._abandoned([self._keys.open(lane), self._keys.flows(lane)], values)
            )
            chunks += [chunk_id.decode() for chunk_id in publish]
            for chunk_id in condemned:
                (lost_by,) = await self._queries.fields(chunk_id.decode(), "lost_by")
                await self._moves.dead_letter(chunk_id.decode(), killed_its_workers(lost_by.decode()))
        return chunks

    async def waiting(self, lane: str, limit: int) -> list[str]:
        """Return chunks of a lane that nobody has taken in hand yet."""
        return await self._queries.due(self._keys.open(lane), 0, limit)

    async def unannounced(self, limit: int = 500) -> list[str]:
        """Return chunks that wait although their lane's queue is empty: their hint was lost, or never sent."""
        chunks: list[str] = []
        for lane in LANES:
            if not await self._broker.llen(self._keys.queue(lane)):
                found = await self._queries.due(self._keys.open(lane), 0, limit)
                chunks += found
                if found:
                    again = dict.fromkeys(found, await self._queries.now_ms() + self._take_up_ms)
                    await self._client.zadd(self._keys.open(lane), again, xx=True)
        return chunks

    async def hints_wanted(self) -> int:
        """Return how many more hints are of use: each leads to the next chunk that waits, whichever it names."""
        open_chunks = [await self._client.zcount(self._keys.open(lane), "-inf", HELD_SCORE - 1) for lane in LANES]
        return max(0, sum(open_chunks) - await self._broker.llen(self._keys.queue_again))

    async def owners(self, lane: str, from_ms: int, limit: int) -> dict[str, str]:
        """Return the open chunks of a lane that no hold keeps back, and of each the lease's owner, empty without one.

        Those come first whose moment is the earliest; none is earlier than `from_ms`.
        """
        found = await cast(
            Awaitable[list[bytes]],
            self._client.zrangebyscore(self._keys.open(lane), from_ms, HELD_SCORE - 1, start=0, num=limit),
        )
        if not found:
            return {}
        chunk_ids = [chunk_id.decode() for chunk_id in found]
        pipeline = self._client.pipeline(transaction=False)
        for chunk_id in chunk_ids:
            pipeline.hget(self._keys.chunk(chunk_id), "owner")
        owners = cast(list[bytes | None], await pipeline.execute())
        return {chunk_id: (owner or b"").decode() for chunk_id, owner in zip(chunk_ids, owners, strict=True)}
