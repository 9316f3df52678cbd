"""The fleet's queries: where a spec stands, what is due, which rows a chunk has.

Over an asyncio client that answers in bytes. Nothing here changes a spec or a chunk; only the moments at which specs
and chunks are queried next are written.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, cast

from redis.asyncio import Redis

from couponpress.errors import DamagedChunkError
from couponpress.keys import Keys, index_bucket, index_entry
from couponpress.ledger.chunks import Row, digests_of_rows, unpack
from couponpress.ledger.lost_records import digests_by_index
from couponpress.plurals import counted


class Place(NamedTuple):
    """Where a spec is: its chunk and its position there."""

    chunk_id: str
    position: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `chunk id/position`."""
        chunk_id, _, position = text.rpartition("/")
        return cls(chunk_id, int(position))


class Standing(NamedTuple):
    """A chunk's rows, the state letter and the spent tries of each, and when the chunk was made."""

    rows: list[Row]
    states: str
    tries: list[int]
    made: bytes


class FleetQueries:
    """The fleet's queries. All moments are on Redis's clock."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def rows(self, chunk_id: str) -> tuple[list[Row], str]:
        """Return the rows of a chunk and their state letters; nothing of a chunk that is forgotten.

        Raises:
            DamagedChunkError: the rows cannot be read.
        """
        standing = await self.standing(chunk_id)
        return standing.rows, standing.states

    async def standing(self, chunk_id: str) -> Standing:
        """Return the same and more; nothing of a chunk that is forgotten.

        Raises:
            DamagedChunkError: as `rows`.
        """
        stored, states, tries, made = await self.fields(chunk_id, "z", "s", "t", "made")
        return standing_of(stored, states, tries, made) if stored or states else Standing([], "", [], b"")

    async def digests(self, chunk_id: str) -> bytes:
        """Return the digests of a chunk's specs, as `digests_of_rows` does; for a damaged chunk, out of the index."""
        try:
            return digests_of_rows((await self.rows(chunk_id))[0])
        except (DamagedChunkError, ValueError, KeyError):
            return await digests_by_index(self._client, self._keys, chunk_id)

    async def history(self, place: Place) -> tuple[int, str, str, str]:
        """Return how many tries a spec has spent, and the code, the message and the Request-ID of the last one."""
        tries, record = await self.fields(place.chunk_id, "t", str(place.position))
        spent = tries[place.position] - ord("0") if tries else 0
        _, code, message, *ids = json.loads(record) if record else ("", "", "")
        return spent, code, message, ids[0] if ids else ""

    async def fields(self, chunk_id: str, *names: str) -> list[bytes]:
        """Return fields of a chunk's record; empty ones for those that it does not have."""
        found = await cast(Awaitable[list[bytes | None]], self._client.hmget(self._keys.chunk(chunk_id), list(names)))
        return [value or b"" for value in found]

    async def run_name(self, run_number: str) -> str | None:
        """Return the name of a run; None for one that is forgotten."""
        name = await cast(Awaitable[bytes | None], self._client.hget(self._keys.run(run_number), "name"))
        return name.decode() if name else None

    async def now_ms(self) -> int:
        """Return Redis's clock, milliseconds since 1970."""
        seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def due_looks(self, limit: int) -> list[Place]:
        """Return specs that are to be queried now, the oldest first."""
        return [Place.parse(text) for text in await self.due(self._keys.looks, await self.now_ms(), limit)]

    async def postpone_look(self, place: Place, delay_ms: int) -> None:
        """Query a spec later, so that the specs behind it are queried first."""
        due_ms = await self.now_ms() + delay_ms
        await self._client.zadd(self._keys.looks, {f"{place.chunk_id}/{place.position}": due_ms}, xx=True)

    async def looking_seconds(self, place: Place) -> float:
        """Return for how many seconds a spec has been in state `looking`; 0 when its beginning is not known."""
        (since_ms,) = await self.fields(place.chunk_id, f"l{place.position}")
        now_ms = await self.now_ms()
        return (now_ms - int(since_ms or now_ms)) / 1000

    async def drop_look(self, place: Place) -> None:
        """Remove a spec that needs no query any more."""
        await self._client.zrem(self._keys.looks, f"{place.chunk_id}/{place.position}")

    async def overdue_chunks(self, silent_seconds: int, limit: int) -> list[str]:
        """Return chunks whose accepted specs were neither completed nor queried for `silent_seconds`, oldest first."""
        now_ms = await self.now_ms()
        return await self.due(self._keys.awaiting, now_ms - silent_seconds * 1000, limit)

    async def accepted_seconds_ago(self, chunk_id: str) -> float:
        """Return how many seconds ago a spec of the chunk was last accepted."""
        (accepted_ms,) = await self.fields(chunk_id, "accepted_ms")
        now_ms = await self.now_ms()
        return (now_ms - int(accepted_ms or now_ms)) / 1000

    async def queried(self, chunk_id: str) -> None:
        """Note that a chunk's accepted specs were queried just now: their time without an answer starts again."""
        await self._client.zadd(self._keys.awaiting, {chunk_id: await self.now_ms()}, xx=True)

    async def due(self, key: str, until_ms: int, limit: int) -> list[str]:
        """Return the members of a ZSET of moments that are not later than `until_ms`, the earliest first."""
        found = await cast(Awaitable[list[bytes]], self._client.zrangebyscore(key, 0, until_ms, start=0, num=limit))
        return [member.decode() for member in found]

    async def accepted_within(self, seconds: float) -> bool:
        """Whether the platform accepted a spec of this partner within so long, as far as those still open tell."""
        newest = await cast(Awaitable[list[bytes]], self._client.zrange(self._keys.awaiting, 0, 19, desc=True))
        moments = [int((await self.fields(chunk_id.decode(), "accepted_ms"))[0] or 0) for chunk_id in newest]
        return max(moments, default=0) >= await self.now_ms() - seconds * 1000

    async def places(self, task_ids: Sequence[str]) -> list[Place | None]:
        """Return where each task_id stands, in one round trip; None for one that is not known."""
        pipeline = self._client.pipeline(transaction=False)
        for task_id in task_ids:
            entry = index_entry(task_id)
            pipeline.hget(self._keys.index + index_bucket(entry), cast(str, entry))
        found = cast(list[bytes | None], await pipeline.execute())
        return [Place.parse(value[8:].decode()) if value else None for value in found]


def standing_of(stored: bytes, states: bytes, tries: bytes, made: bytes) -> Standing:
    """Read the fields of a chunk's record.

    Raises:
        DamagedChunkError: they do not fit each other.
    """
    rows = unpack(stored)
    if len(rows) != len(states):
        raise DamagedChunkError(f"it holds {counted(len(rows), 'row')} and {counted(len(states), 'state')}")
    spent = [letter - ord("0") for letter in tries.ljust(len(rows), b"0")]
    return Standing(rows, states.decode(errors="replace"), spent, made)
