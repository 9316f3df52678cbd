"""One leader at a time puts right what crashes, lost messages and due retries left behind."""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64decode
from itertools import count

import pytest
import redis
import redis.exceptions
from redis.asyncio import Redis

from couponpress.keys import SUBMIT_TASK
from couponpress.ledger.leases import LEASE_MS, Leased
from couponpress.ledger.moves import TAKE_UP_MS
from couponpress.ledger.working import WorkLedger
from couponpress.outcome import State
from couponpress.stopping import rest
from couponpress_worker.periodic import Failures, keep_running
from couponpress_worker.runtime.recovery import Recovery, chunks_to_publish
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.store.leader import SURE_SHARE, Leadership
from couponpress_worker.timings import REAL
from tests.builders import (
    KEYS,
    bring_to,
    chunk_ids,
    fleet_values,
    let_pass,
    on_ledger,
    run_fast,
    states_of,
    stored,
)


def with_leaders(url, act, clock=None):
    """Run `await act(first, second)` with two processes that may lead; time passes whenever one asks."""
    clock = clock or count(step=REAL.lead).__next__

    async def run():
        async with Redis.from_url(url) as client:
            return await act(*(Leadership(client, KEYS.leader, owner, clock=clock) for owner in ("first", "second")))

    return asyncio.run(run())


# --- leadership -------------------------------------------------------------------------------------------------------


def test_one_process_leads_at_a_time(redis_url):
    async def act(first, second):
        return [await one.mine() for one in (first, second, first, second)]

    assert with_leaders(redis_url, act) == [True, False, True, False]


def test_a_lead_is_kept_by_asking(redis_url, client):
    async def act(first, second):
        await first.mine()
        client.pexpire(KEYS.leader, 100)
        await first.mine()
        return client.pttl(KEYS.leader)

    assert 100 < with_leaders(redis_url, act) <= REAL.lead * 1000


def test_a_leader_that_died_is_followed_by_another(redis_url, client):
    async def act(first, second):
        await first.mine()
        assert 0 < client.pttl(KEYS.leader) <= REAL.lead * 1000
        client.delete(KEYS.leader)  # its time ran out
        return await second.mine(), await first.mine()

    assert with_leaders(redis_url, act) == (True, False)


def test_a_leader_that_resigns_is_followed_at_once(redis_url):
    async def act(first, second):
        await first.mine()
        await first.resign()
        return await second.mine()

    assert with_leaders(redis_url, act)


def test_loops_that_ask_within_a_second_share_what_redis_said(redis_url, client):
    moment = [0.0]

    async def act(first, second):
        led = [await first.mine()]
        client.set(KEYS.leader, "second")
        moment[0] = REAL.lead * SURE_SHARE - 0.01
        led.append(await first.mine())
        moment[0] = REAL.lead * SURE_SHARE
        return [*led, await first.mine(), await second.mine()]

    assert with_leaders(redis_url, act, lambda: moment[0]) == [True, True, False, True]


def test_only_the_leader_can_resign(redis_url):
    async def act(first, second):
        await first.mine()
        await second.resign()
        return await second.mine()

    assert not with_leaders(redis_url, act)


# --- what is published ------------------------------------------------------------------------------------------------


def to_publish(url):
    return on_ledger(url, chunks_to_publish)


def test_nothing_is_published_while_all_is_well(redis_url, client):
    stored(redis_url)
    client.lpush(KEYS.queue("bulk"), "its hint")
    assert to_publish(redis_url) == []


def test_a_due_retry_a_dead_lease_and_a_lost_hint_are_published(redis_url, client):
    retrying, leased, lost = (stored(redis_url, first=first) for first in (1, 2, 3))
    bring_to(redis_url, retrying, [State.RETRYING])
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(leased, "dead"))
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert to_publish(redis_url) == [retrying, leased, lost]
    assert to_publish(redis_url) == []


def test_a_chunk_that_needs_a_hint_for_two_reasons_gets_one(redis_url, client):
    chunk_id = stored(redis_url, 2)
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "dead"))
    bring_to(redis_url, chunk_id, [State.RETRYING])
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert to_publish(redis_url) == [chunk_id]


def test_no_more_hints_are_published_than_there_are_open_chunks(redis_url, client):
    """A fleet that cannot work, because all brands rest, would else add a hint for each chunk every 20 s for ever."""
    chunks = [stored(redis_url, first=first) for first in (1, 2, 3)]
    client.lpush(KEYS.queue("bulk"), "their hints")
    published = []
    for _ in range(4):
        client.zadd(KEYS.open("bulk"), dict.fromkeys(chunks, 1))  # their time to be taken up is over
        published.append(to_publish(redis_url))
        if published[-1]:
            client.lpush(KEYS.queue_again, *published[-1])
    assert published == [chunks, [], [], []]
    client.rpop(KEYS.queue_again)
    client.zadd(KEYS.open("bulk"), dict.fromkeys(chunks, 1))
    assert len(to_publish(redis_url)) == 1


def test_within_a_minute_of_a_crash_another_worker_has_the_chunk(redis_url, client):
    chunk_id = stored(redis_url)
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "dead"))
    # Killed right after a renewal; the survivor's hint is lost once more.
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    to_publish(redis_url)
    let_pass(client, KEYS.open("bulk"), TAKE_UP_MS / 1000 + 1)
    assert to_publish(redis_url) == [chunk_id]
    assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "survivor")), Leased)
    assert (LEASE_MS + TAKE_UP_MS) / 1000 + 2 * REAL.recovery_look < 60


def test_abandoned_chunks_are_told_to_a_person(redis_url, client, caplog):
    chunk_id = stored(redis_url)
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "dead"))
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    to_publish(redis_url)
    assert "1 chunks were not taken up in time" in caplog.text


# --- the loop ---------------------------------------------------------------------------------------------------------


class Lead:
    """A process that leads, or does not, or cannot know it."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def mine(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeLedger:
    """Has one due retry per look; is every part of itself."""

    def __init__(self, troubles=()):
        self.troubles = list(troubles)
        self.looked = self.forgot = 0
        self.moves = self.leases = self

    async def release_due_pauses(self):
        return []

    async def release_due_retries(self):
        self.looked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return [f"b1.{self.looked}"]

    async def abandoned(self):
        return []

    async def unannounced(self):
        return []

    async def hints_wanted(self):
        return 1

    async def forget_finished(self, result_ttl_seconds):
        self.forgot += 1
        return []


async def recover(ledger, lead, publish_again, stopped, away=lambda _: None):
    """Recover as a process does."""
    recovery = Recovery(ledger, publish_again, result_ttl_seconds=60)
    options = {"tick_seconds": REAL.recovery_look, "leader": lead.mine, "away": away}
    await keep_running("recovery", recovery.turn, stopped, Failures(), **options)


def recovered(ledger, lead, *, until=1, troubles=(), away=lambda _: None):
    """Recover until so many hints were published; returns them."""
    published, left = [], list(troubles)

    async def act():
        stopped = asyncio.Event()

        async def publish_again(chunk_ids):
            if left:
                raise left.pop(0)
            published.extend(chunk_ids)
            if len(published) >= until:
                stopped.set()

        async with asyncio.timeout(3600):
            await recover(ledger, lead, publish_again, stopped, away)

    run_fast(act())
    return published


def test_the_leader_publishes_and_forgets(redis_url, client):
    old = stored(redis_url, run="old")
    bring_to(redis_url, old, [State.REJECTED])
    client.zincrby(KEYS.finished, -61_000, "b1")
    new = stored(redis_url, run="new", first=2)
    bring_to(redis_url, new, [State.RETRYING])

    async def act():
        stopped, published = asyncio.Event(), []

        async def publish_again(chunk_ids):
            published.extend(chunk_ids)
            stopped.set()

        async with asyncio.timeout(10), Redis.from_url(redis_url) as connection:
            leadership = Leadership(connection, KEYS.leader, "me")
            ledger = WorkLedger(connection, KEYS)
            await recover(ledger, leadership, publish_again, stopped)
        return published

    assert asyncio.run(act()) == [new]
    assert chunk_ids(client) == [new]
    assert states_of(client, new) == [State.WAITING]


def test_a_process_that_does_not_lead_does_nothing():
    ledger = FakeLedger()
    assert recovered(ledger, Lead(False, False, False, True)) == ["b1.1"]
    assert ledger.looked == 1


@pytest.mark.parametrize(
    "trouble",
    [
        redis.exceptions.ConnectionError("gone"),
        redis.exceptions.TimeoutError("slow"),
        redis.exceptions.OutOfMemoryError("full"),
        redis.exceptions.ReadOnlyError("a replica"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_recovery_goes_on_when_redis_is_back(trouble, caplog):
    ledger, heard = FakeLedger(troubles=[trouble] * 3), []
    assert recovered(ledger, Lead(trouble, True), away=heard.append) == ["b1.4"]
    assert heard == [trouble] * 4
    assert caplog.records == []  # it is no failure


def test_recovery_goes_on_when_hints_could_not_be_published():
    trouble = redis.exceptions.ConnectionError("hints could not be published")
    assert recovered(FakeLedger(), Lead(True), troubles=[trouble, trouble]) == ["b1.3"]


def test_the_leader_looks_every_second_and_forgets_once_a_minute():
    ledger = FakeLedger()
    recovered(ledger, Lead(True), until=121)
    assert (ledger.looked, ledger.forgot) == (121, 3)


def test_a_fault_of_our_own_is_told_and_does_not_end_recovery(caplog):
    """Else one record that nobody foresaw would leave every other chunk of the fleet behind."""
    assert recovered(FakeLedger(), Lead(ZeroDivisionError("ours"), True)) == ["b1.1"]
    assert "recovery failed and goes on" in caplog.text
    assert "ZeroDivisionError: ours" in caplog.text


def test_a_stopped_process_does_not_rest():
    async def act():
        stopped = asyncio.Event()
        stopped.set()
        loop = asyncio.get_running_loop()
        before = loop.time()
        await rest(stopped, 1000)
        return loop.time() - before

    assert run_fast(act()) < 1


# --- the hints --------------------------------------------------------------------------------------------------------

#: Celery reads its settings once per process, so this runs in one of its own.
PUBLISHING = """
import asyncio, sys, redis.exceptions
from couponpress_worker.app import publish_again
try:
    asyncio.run(asyncio.wait_for(publish_again(sys.argv[1:]), 10))
except redis.exceptions.ConnectionError as error:
    print(error)
"""


def published(url, *chunk_ids):
    """Publish hints in a process of its own; returns what it prints."""
    env = {f"COUPONPRESS_{name.upper()}": str(value) for name, value in fleet_values(redis_url=url).items()}
    command = [sys.executable, "-c", PUBLISHING, *chunk_ids]
    done = subprocess.run(command, env=os.environ | env, check=True, timeout=180, capture_output=True, text=True)
    return done.stdout


def test_hints_go_to_the_queue_for_chunks_that_were_in_hand(redis_url, client):
    assert published(redis_url, "b1.1", "u2.7") == ""
    messages = [json.loads(text) for text in reversed(client.lrange(KEYS.queue_again, 0, -1))]
    assert [json.loads(b64decode(message["body"]))[:2] for message in messages] == [[["b1.1"], {}], [["u2.7"], {}]]
    assert {message["headers"]["task"] for message in messages} == {SUBMIT_TASK}
    assert not client.exists(KEYS.queue("urgent"), KEYS.queue("bulk"))


def test_hints_that_cannot_be_published_are_told_soon():
    assert "hints could not be published" in published(f"redis://127.0.0.1:{free_port()}/0", "b1.1")
