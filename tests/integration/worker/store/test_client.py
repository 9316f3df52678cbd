"""The fleet's client on a real server that is full, or that refuses every write for now."""

import asyncio

import pytest
import redis
from limits import parse
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from couponpress import Client, RedisFullError, RedisUnavailableError
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.leases import GivenBack, Leased, Renewed
from couponpress.ledger.moves import Move
from couponpress.ledger.notices import NoticeLedger
from couponpress.ledger.send_log import pack_moments
from couponpress.ledger.working import WorkLedger
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.rate.bucket import AsyncTokenBucket, Bucket, Grant, Wait
from couponpress_worker.runtime.recovery import chunks_to_publish
from couponpress_worker.store.client import fleet_redis, limiter_redis
from couponpress_worker.store.leader import Leadership
from tests.builders import KEYS, identified, let_pass, moved, producer_settings, spec, stored


@pytest.fixture
def full(redis_url):
    """A server that takes nothing that needs memory, with two chunks in it; yields its URL."""
    stored(redis_url, 3)
    stored(redis_url, 3, first=4)
    with redis.Redis.from_url(redis_url) as plain:
        plain.config_set("maxmemory", 1)
        try:
            yield redis_url
        finally:
            plain.config_set("maxmemory", 0)


def on_client(url, act, client_of=fleet_redis):
    """Run `await act(client)`."""

    async def main():
        async with client_of(RedisAddress.parse(url)) as client:
            return await act(client)

    return asyncio.run(main())


def test_a_full_server_takes_every_act_that_drains(full, client):
    async def act(fleet):
        ledger = WorkLedger(fleet, KEYS)
        leased = await ledger.leases.lease("b1.1", "me")
        assert await ledger.leases.renew("b1.1", "me") == Renewed()
        moves = [Move(0, "accept", tries=1), Move(1, "again", tries=1, delay_ms=60_000), Move(2, "look", tries=1)]
        made = await ledger.moves.move({"b1.1": moves})
        assert await ledger.leases.give_back("b1.1", "me") == GivenBack(0)
        await ledger.moves.move({"b1.1": [Move(0, "succeed", image_url="https://wxpaylogo.qpic.cn/1.png")]})
        await ledger.moves.count_throttled("b1.1", 1)
        await NoticeLedger(fleet, KEYS).count(["unknown"])
        assert await ledger.holds.hold("run:b1", "why", "cure", 1.0)
        await fleet.xadd(KEYS.flight, {"process": "me", "moments": pack_moments([1])})
        assert await Leadership(fleet, KEYS.leader, "me").mine()
        assert not await Leadership(fleet, KEYS.leader, "another").mine()
        return leased, made, await chunks_to_publish(ledger)

    leased, made, published = on_client(full, act)
    assert isinstance(leased, Leased)
    assert made == {"b1.1": [True, True, True]}
    assert published == ["b1.2"]
    client.config_set("maxmemory", 0)
    let_pass(client, KEYS.retries, 3600)
    client.config_set("maxmemory", 1)

    async def release(fleet):
        return await WorkLedger(fleet, KEYS).moves.release_due_retries()

    assert on_client(full, release) == ["b1.1"]
    client.hdel(KEYS.holds, "run:b1")


def test_a_full_server_gives_slots(full, client):
    async def act(fleet):
        bucket = AsyncTokenBucket(fleet, Bucket(KEYS.bucket("submit"), parse("500/second"), 0.02))
        first = await bucket.acquire(5)
        await asyncio.sleep(first.seconds + 0.2)
        return first, await bucket.acquire(5)

    first, then = on_client(full, act, limiter_redis)
    assert isinstance(first, Wait)
    assert isinstance(then, Grant)


def test_a_full_server_takes_nothing_new(full, client):
    with pytest.raises(OutOfMemoryError):
        client.set("any", "thing")
    with Client(producer_settings(full)) as producer, pytest.raises(RedisFullError, match="What was enqueued before"):
        producer.enqueue(spec(99), run="june")


def test_a_full_server_takes_a_hold_and_lets_it_go(full, client):
    with Client(producer_settings(full)) as producer:
        assert producer.pause()
        assert producer.resume()


def test_a_full_server_takes_a_cancel_and_a_redrive(full, client):
    client.config_set("maxmemory", 0)
    moved(full, "b1.1", Move(0, "accept", tries=1), Move(1, "again", tries=1, delay_ms=60_000))
    uploads = UploadLedger(client, KEYS)
    number = uploads.open_run("june", "bulk")
    token = uploads.lock_upload(number)
    uploads.enqueue_staged(number, token, identified([7], "june"))
    client.config_set("maxmemory", 1)
    with Client(producer_settings(full)) as producer:
        assert producer.cancel() == 5
        assert [(run.run, run.cancelled, run.accepted) for run in producer.runs()] == [("may", 5, 1)]
        assert producer.redrive("may", outcome="cancelled") == 5
        assert producer.run("may").waiting == 5


def test_a_server_that_refuses_every_write_for_now_counts_as_away(redis_url, client):
    chunk_id = stored(redis_url, 1)
    client.config_set("min-replicas-to-write", 1)

    async def act(fleet):
        ledger = WorkLedger(fleet, KEYS)
        for write in (
            lambda: fleet.hdel(KEYS.holds, ""),
            lambda: ledger.leases.lease(chunk_id, "me"),
            lambda: ledger.moves.move({chunk_id: [Move(0, "accept")]}),
        ):
            with pytest.raises(RedisConnectionError, match="NOREPLICAS"):
                await write()

    try:
        on_client(redis_url, act)
        with Client(producer_settings(redis_url)) as producer, pytest.raises(RedisUnavailableError, match="NOREPLICAS"):
            producer.enqueue(spec(99), run="june")
    finally:
        client.config_set("min-replicas-to-write", 0)
