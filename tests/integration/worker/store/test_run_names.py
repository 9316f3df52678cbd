"""The names of runs, as the ledger has them."""

import asyncio

from redis.asyncio import Redis

from couponpress.keys import run_of
from couponpress.ledger.fleet_queries import FleetQueries
from couponpress_worker.store import run_names
from couponpress_worker.store.run_names import RunNames
from tests.builders import KEYS, stored


def test_a_name_is_read_once_and_a_number_stands_for_one_that_is_not_known(redis_url, monkeypatch):
    number, other = run_of(stored(redis_url, run="may")), run_of(stored(redis_url, run="june", first=2))
    monkeypatch.setattr(run_names, "MOST_KEPT", 1)

    async def ask():
        async with Redis.from_url(redis_url) as client:
            names = RunNames(FleetQueries(client, KEYS))
            first = await names.of(number)
            await client.hset(KEYS.run(number), "name", "renamed")
            kept, unknown = await names.of(number), await names.of("b999")
            return first, kept, unknown, await names.of(other), await names.of(number)

    assert asyncio.run(ask()) == ("may", "may", "b999", "june", "renamed")


def test_while_redis_is_away_the_number_stands_for_it():
    async def ask():
        async with Redis.from_url("redis://127.0.0.1:1/0", retry=None) as client:
            return await RunNames(FleetQueries(client, KEYS)).of("b1")

    assert asyncio.run(ask()) == "b1"
