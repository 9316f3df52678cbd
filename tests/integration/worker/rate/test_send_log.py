"""The flight record on a real server."""

import asyncio
import time

import pytest
import redis
import redis.asyncio

from couponpress.keys import Keys
from couponpress.ledger.send_log import read_record
from couponpress_worker.events import Sent
from couponpress_worker.rate.send_log import FlightRecorder

KEYS = Keys("1900000109")


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def record(redis_url, *batches, process="worker-1"):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            recorder = FlightRecorder(client, KEYS, process)
            for batch in batches:
                for moment_us in batch:
                    recorder.sent(Sent("submit", moment_us))
                await recorder.write()

    asyncio.run(main())


def test_what_several_processes_noted_is_read_in_order(redis_url, client):
    now_us = time.time_ns() // 1000
    record(redis_url, [now_us + 5, now_us + 1], [now_us + 9], process="a")
    record(redis_url, [now_us + 3], process="b")
    assert [(one.at_us - now_us, one.process) for one in read_record(client, KEYS)] == [
        (1, "a"),
        (3, "b"),
        (5, "a"),
        (9, "a"),
    ]


def test_a_long_record_is_read_whole(redis_url, client):
    now_us = time.time_ns() // 1000
    record(redis_url, *([now_us + number] for number in range(450)))
    assert [one.at_us - now_us for one in read_record(client, KEYS)] == list(range(450))


def test_nothing_noted_writes_nothing(redis_url, client):
    record(redis_url, [])
    assert client.exists(KEYS.flight) == 0


def test_what_is_older_than_ten_minutes_goes(redis_url, client):
    old_ms = int(time.time() * 1000) - 11 * 60 * 1000
    for number in range(300):  # Redis trims whole blocks of entries
        client.xadd(KEYS.flight, {"process": "old", "moments": b""}, id=f"{old_ms + number}-0")
    record(redis_url, [time.time_ns() // 1000])
    assert client.xlen(KEYS.flight) < 201


def test_while_redis_is_away_notes_are_kept(redis_url, client):
    now_us = time.time_ns() // 1000

    async def main():
        async with (
            redis.asyncio.Redis(port=1, retry=None) as nowhere,
            redis.asyncio.Redis.from_url(redis_url) as there,
        ):
            recorder = FlightRecorder(nowhere, KEYS, "a")
            recorder.sent(Sent("submit", now_us))
            await recorder.write()
            recorder._client = there
            recorder.sent(Sent("submit", now_us + 1))
            await recorder.write()

    asyncio.run(main())
    assert [one.at_us - now_us for one in read_record(client, KEYS)] == [0, 1]


def test_what_an_unforeseen_error_kept_from_the_record_is_written_next_time(redis_url, client):
    now_us = time.time_ns() // 1000

    class BreaksOnce:
        """A client whose first write meets what nobody foresaw."""

        def __init__(self, client):
            self.client, self.broken = client, False

        async def xadd(self, *args, **options):
            if not self.broken:
                self.broken = True
                raise ValueError("unforeseen")
            return await self.client.xadd(*args, **options)

    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as there:
            recorder = FlightRecorder(BreaksOnce(there), KEYS, "a")
            recorder.sent(Sent("submit", now_us))
            with pytest.raises(ValueError, match="unforeseen"):
                await recorder.write()
            recorder.sent(Sent("submit", now_us + 1))
            await recorder.write()

    asyncio.run(main())
    assert [one.at_us - now_us for one in read_record(client, KEYS)] == [0, 1]


def test_queries_are_no_part_of_the_record(redis_url, client):
    recorder = FlightRecorder(redis.asyncio.Redis.from_url(redis_url), KEYS, "a")
    recorder.sent(Sent("query", 1))
    asyncio.run(recorder.write())
    assert client.exists(KEYS.flight) == 0
