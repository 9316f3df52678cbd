"""Repairs the ledger when a chunk's record is lost or unreadable: its states, its places in the index, the counts.

Nothing of couponpress loses a record; a person with a Redis console or a broken server can. These acts read far more
than any other, and are done for no other reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator
from typing import cast

import redis
from redis.asyncio import Redis

from couponpress.errors import DamagedChunkError
from couponpress.keys import INDEX_BUCKETS, Keys, index_bucket, run_of
from couponpress.ledger.chunks import unpack
from couponpress.ledger.scripts import script

#: How many buckets of the index are read in one round trip.
BUCKETS_AT_ONCE = 64


async def digests_by_index(client: Redis, keys: Keys, chunk_id: str) -> bytes:
    """Return the digests of a chunk's specs, as `digests_of_rows` does, by reading the whole index."""
    found = b""
    for names in _index(keys):
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(name)
        found += _of_chunk(chunk_id, await pipeline.execute())
    return found


def digests_in_index(client: redis.Redis, keys: Keys, chunk_id: str) -> bytes:
    """Return the same over a blocking client."""
    found = b""
    for names in _index(keys):
        with client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hgetall(name)
            found += _of_chunk(chunk_id, pipeline.execute())
    return found


def _index(keys: Keys) -> Iterator[list[str]]:
    """Return the names of the index, so many at a time as are read in one round trip."""
    for first in range(0, INDEX_BUCKETS, BUCKETS_AT_ONCE):
        yield [f"{keys.index}{number:03x}" for number in range(first, first + BUCKETS_AT_ONCE)]


def _of_chunk(chunk_id: str, buckets: Iterable[dict[bytes, bytes]]) -> bytes:
    place = f"{chunk_id}/".encode()
    return b"".join(
        entry + value[:8] for bucket in buckets for entry, value in bucket.items() if value[8:].startswith(place)
    )


async def restore_states(client: Redis, keys: Keys, chunk_id: str) -> bytes:
    """Write the states of a chunk again when its rows can be read but its states are lost: all of them wait.

    Returns them, or nothing when the rows are lost too; then its specs can be enqueued again.
    """
    stored = await cast(Awaitable[bytes | None], client.hget(keys.chunk(chunk_id), "z"))
    try:
        specs = len(unpack(stored or b""))
    except DamagedChunkError:
        digests = await digests_by_index(client, keys, chunk_id)
        for at in range(0, len(digests), 18):
            entry = digests[at : at + 10]
            await client.hdel(keys.index + index_bucket(entry), cast(str, entry))
        await client.delete(keys.chunk(chunk_id), keys.history(chunk_id))
        return b""
    states = b"w" * specs
    await client.hset(keys.chunk(chunk_id), mapping={"s": states, "t": b"0" * specs})
    return states


async def count_anew(client: Redis, keys: Keys, chunk_id: str) -> None:
    """Count the rest of a lost chunk's run again, so that the run can finish."""
    number = run_of(chunk_id)
    if await client.exists(keys.run(number)):
        recount = client.register_script(script("recount"))
        names = [keys.run(number), keys.staged(number), keys.finished, keys.counts]
        await recount(names, [number, keys.chunk("")])
