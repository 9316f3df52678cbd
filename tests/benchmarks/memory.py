"""What a spec takes of Redis: while it waits, and when it has ended with a picture's URL."""

import asyncio
import random
import uuid

from couponpress.keys import Keys
from couponpress.ledger.moves import Move
from couponpress.ledger.working import WorkLedger
from couponpress_worker.runtime.factories import redis_for
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.stage import RUN, Stage, stage

GOAL_WAITING = 150.0
GOAL_FINISHED = 350.0
#: As long as the addresses of pictures that the platform's samples print.
URL_CHARACTERS = 110


def measure(bench: Bench) -> list[Line]:
    """Fill an empty Redis, and end every spec through the ledger, as a worker and a callback would."""
    rows = 50_000 if bench.quick else 100_000
    chance = random.Random(bench.seed)
    with stage(bench, "memory", tls=False) as one:
        empty = _used(one)
        one.enqueue(bench, rows)
        waiting = (_used(one) - empty) / rows
        hints = sum(one.redis.memory_usage(name, samples=0) or 0 for name in one.keys.queues)
        one.redis.delete(*one.keys.queues)  # a worker takes the hints
        asyncio.run(_end_all(one, chance))
        finished = (_used(one) - empty) / rows
        with one.client() as client:
            status = client.run(RUN)
    if not status.finished or status.succeeded != rows:
        raise RuntimeError(f"not every spec ended: {status}")
    note = f"used_memory of INFO with {rows} specs less that of an empty server"
    return [
        Line("memory", "Redis bytes per waiting spec", "bytes", [waiting], GOAL_WAITING, note=note),
        Line("memory", "of these, hints in Celery's queues", "bytes", [hints / rows]),
        Line(
            "memory",
            "Redis bytes per finished spec with URL",
            "bytes",
            [finished],
            GOAL_FINISHED,
            note=f"addresses of {URL_CHARACTERS} random characters, which do not compress",
        ),
    ]


def _used(one: Stage) -> int:
    return int(one.redis.info("memory")["used_memory"])


async def _end_all(one: Stage, chance: random.Random) -> None:
    client = redis_for(one.settings)
    ledger = WorkLedger(client, Keys(one.settings.mchid))
    try:
        open_chunks = [name.decode() for name in await client.zrange(one.keys.open("bulk"), 0, -1)]
        for chunk_id in open_chunks:
            leased = await ledger.leases.lease(chunk_id, "bench")
            positions = leased.waiting()
            accepted = [Move(one, "accept", tries=1, request_id=_request_id(chance)) for one in positions]
            await ledger.moves.move({chunk_id: accepted}, by="submit")
            await ledger.leases.give_back(chunk_id, "bench")
            ends = [
                Move(one, "succeed", image_url=_url(chance), heard_by=str(uuid.UUID(int=chance.getrandbits(128))))
                for one in positions
            ]
            await ledger.moves.move({chunk_id: ends}, by="callback")
    finally:
        await client.aclose()


def _request_id(chance: random.Random) -> str:
    return f"08{chance.getrandbits(160):040X}-0"


def _url(chance: random.Random) -> str:
    start = "https://wxpaylogo.qpic.cn/wxpaylogo/"
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return start + "".join(chance.choices(letters, k=URL_CHARACTERS - len(start)))
