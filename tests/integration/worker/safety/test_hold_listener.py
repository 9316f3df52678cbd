"""A process hears of holds at once, and also when the call was lost or Redis was away."""

import asyncio
import contextlib
import time

import pytest
from redis.asyncio import Redis

from couponpress.ledger.audit import AuditLog
from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.leases import NotLeased
from couponpress_worker.events import Events, Held, Released, unheard
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.event_log import log_events
from couponpress_worker.safety.hold_listener import HoldWatch
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.timings import REAL
from tests.builders import KEYS, on_ledger, stored


@pytest.fixture
def holding(client):
    return HoldingLedger(client, KEYS)


class Logged:
    """Writes the log lines of what it is told."""

    def __init__(self):
        events = Events(Failures())
        log_events(events)
        self.append = events.tell


async def publishes_nothing(chunk_ids):
    assert chunk_ids == []


def watched(url, act, channel=KEYS.holds_changed, told=None, publish=publishes_nothing):
    """Run `await act(halt, released)` beside a watch that has looked once; returns what it returns."""

    async def run():
        halt, released, stopped = Halt(), [], asyncio.Event()
        tell = unheard if told is None else told.append
        async with Redis.from_url(url, socket_timeout=5) as client:
            watch = HoldWatch(
                client, channel, FleetHolds(client, KEYS), halt, released.append, tell=tell, publish=publish
            )
            running = asyncio.create_task(watch.run(stopped))
            try:
                await until(client, channel)
                return await act(halt, released)
            finally:
                stopped.set()
                await asyncio.wait_for(running, 10)

    async def until(client, channel):
        while not (await client.pubsub_numsub(channel))[0][1]:  # noqa: ASYNC110 - the server knows
            await asyncio.sleep(0.01)

    return asyncio.run(run())


async def when(condition, seconds=10.0):
    """Wait for a condition; returns how long that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        await asyncio.sleep(0.002)
    return time.monotonic() - begun


def test_holds_and_releases_are_heard_long_before_the_next_look(redis_url, client, holding):
    async def act(halt, released):
        took = []
        for _ in range(5):
            await asyncio.to_thread(holding.hold, None, "reason", "cure", brand_id="7")
            took.append(await when(lambda: halt.keeps_back("7")))
            await asyncio.to_thread(holding.release, None, brand_id="7")
            took.append(await when(lambda: not halt.keeps_back("7")))
        assert released == ["brand:7"] * 5
        return sorted(took)[5]

    assert watched(redis_url, act) < REAL.hold_look / 5


def test_the_log_names_the_run_and_the_cure(redis_url, client, holding, caplog):
    caplog.set_level("INFO")
    stored(redis_url)

    async def act(halt, released):
        await asyncio.to_thread(holding.hold, "b1", "paused by hand", "`couponpress resume may` lets it go on")
        await when(lambda: "submitting is held" in caplog.text)
        await asyncio.to_thread(holding.release, "b1")
        await when(lambda: "submitting goes on" in caplog.text)

    watched(redis_url, act, told=Logged())
    held, goes_on = (one.getMessage() for one in caplog.records if one.getMessage().startswith("submitting "))
    assert held == "submitting is held: run may: paused by hand. Cure: `couponpress resume may` lets it go on"
    assert goes_on == "submitting goes on: run may"


def test_a_call_that_was_lost_delays_a_hold_until_the_next_look(redis_url, client, holding):
    async def act(halt, released):
        await asyncio.to_thread(holding.hold, "b1", "reason", "cure")
        return await when(lambda: halt.stops("b1"))

    watched(redis_url, act, channel="couponpress-test-elsewhere")


def test_a_hold_that_was_there_before_is_known_with_the_first_look_and_told(redis_url, client, holding):
    holding.hold("b1", "reason", "cure")
    told = []

    async def act(halt, released):
        await when(lambda: halt.stops("b1"))
        await asyncio.to_thread(holding.release, "b1")
        await when(lambda: not halt.stops("b1"))

    watched(redis_url, act, told=told)
    assert told == [Held("run:b1", "run b1", "reason", "cure", ours=False), Released("run:b1", "run b1")]


def test_a_broken_connection_is_followed_by_another(redis_url, client, holding):
    async def act(halt, released):
        for one in client.client_list(_type="pubsub"):
            with contextlib.suppress(Exception):
                client.client_kill_filter(_id=one["id"])
        await asyncio.to_thread(holding.hold, "b1", "reason", "cure")
        await when(lambda: halt.stops("b1"))
        await when(lambda: client.pubsub_numsub(KEYS.holds_changed)[0][1])
        await asyncio.to_thread(holding.release, "b1")
        await when(lambda: not halt.stops("b1"))

    watched(redis_url, act)


@pytest.fixture
def limited(redis_url, client):
    """The address of a user to whom rights can be given and taken."""
    yield redis_url.replace("redis://", "redis://limited:secret@")
    client.execute_command("ACL", "DELUSER", "limited")


def rights(client, *rules):
    client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~*", "&*", "+@all", *rules)


def test_who_may_not_subscribe_looks_says_so_once_and_hears_again_when_he_may(limited, client, holding, caplog):
    rights(client, "-subscribe")

    async def run():
        halt, stopped = Halt(), asyncio.Event()
        async with Redis.from_url(limited, socket_timeout=5) as connection:
            holds = FleetHolds(connection, KEYS)
            watch = HoldWatch(connection, KEYS.holds_changed, holds, halt, lambda _: None, publish=publishes_nothing)
            running = asyncio.create_task(watch.run(stopped))
            for number in ("b1", "b2", "b3"):
                await asyncio.to_thread(holding.hold, number, "reason", "cure")
                await when(lambda number=number: halt.stops(number))
            rights(client)
            await when(lambda: client.pubsub_numsub(KEYS.holds_changed)[0][1])
            stopped.set()
            await asyncio.wait_for(running, 10)

    asyncio.run(run())
    told = [message for message in caplog.messages if "Redis refuses" in message]
    assert len(told) == 1
    assert "User limited has no permissions to run the 'subscribe' command" in told[0]
    assert "ACL SETUSER" in told[0]


def test_redis_counts_as_away_for_who_may_not_read_the_holds(limited, client):
    rights(client, "-hgetall")
    refusals = []

    async def run():
        stopped = asyncio.Event()
        async with Redis.from_url(limited, socket_timeout=5) as connection:
            holds = FleetHolds(connection, KEYS)
            watch = HoldWatch(
                connection,
                KEYS.holds_changed,
                holds,
                Halt(),
                lambda _: None,
                refusals.append,
                publish=publishes_nothing,
            )
            running = asyncio.create_task(watch.run(stopped))
            await when(lambda: refusals)
            stopped.set()
            await asyncio.wait_for(running, 10)

    asyncio.run(run())
    assert "no permissions to run the 'hgetall' command" in str(refusals[0])


def test_a_hold_that_this_process_sets_meanwhile_stays(redis_url, client):
    """The look was answered before the hold was stored; what is newer must not be overwritten by it."""

    class Slow(FleetHolds):
        async def holds_and_ended(self):
            told = await super().holds_and_ended()
            halt.held |= {"partner"}
            return told

    halt = Halt()

    async def run():
        async with Redis.from_url(redis_url) as connection:
            holds = Slow(connection, KEYS)
            await HoldWatch(connection, "c", holds, halt, lambda _: None, publish=publishes_nothing).look()

    asyncio.run(run())
    assert halt.holds("partner")


def test_a_hold_ends_by_itself_and_its_chunks_are_published(redis_url, client, holding):
    chunk_id = stored(redis_url)
    holding.hold(None, "reason", "cure", until=time.time() + 0.8)
    assert on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "worker")) == NotLeased("held")
    published = []

    async def publish(chunk_ids):
        published.extend(chunk_ids)

    async def act(halt, released):
        await when(lambda: halt.holds("partner"))
        await when(lambda: published)
        assert released == ["partner"]
        assert not halt.holds("partner")

    watched(redis_url, act, publish=publish)
    assert published == [chunk_id]
    assert client.hlen(KEYS.holds) == 0
    (entry, _) = AuditLog(client, KEYS).entries()
    assert (entry.act, entry.door, entry.who, entry.result) == ("resume", "fleet", "fleet", "done")
