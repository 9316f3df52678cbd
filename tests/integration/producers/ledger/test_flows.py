"""Which chunk of a lane is leased next: brands share it by their weights, runs of a brand take turns."""

import asyncio
import random
from collections import Counter
from itertools import count, islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from couponpress.keys import brand_scope, run_of
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.leases import LEASE_MS, GivenBack, Leased, NotLeased
from couponpress.ledger.moves import TAKE_UP_MS, Move
from couponpress.ledger.working import WorkLedger
from tests.builders import (
    KEYS,
    assert_consistent,
    assert_flows_fit,
    identified,
    let_pass,
    moved,
    on_ledger,
    ready_chunks,
)

A, B, C = "1", "2", "3"


#: No two specs of this module have a task_id in common.
NUMBERS = count()


def enqueue(client, brand, *sizes, run="may", lane="bulk"):
    """Enqueue chunks of so many specs of a brand; returns their ids."""
    uploads = UploadLedger(client, KEYS)
    number = uploads.open_run(run, lane)
    of_chunks = [identified(islice(NUMBERS, size), run, brand_id=brand) for size in sizes]
    return [uploads.enqueue_open(number, specs).chunk_id for specs in of_chunks]


def brand_of(leased):
    """The brand of a leased chunk; empty when it has several."""
    brands = {row.brand_id for row in leased.rows}
    return brands.pop() if len(brands) == 1 else ""


def picked(url, times, *, lane="bulk", done=True):
    """Lease the next chunk so often, and let it be done; returns each lease, or why there was none."""

    async def act(ledger):
        found = []
        for number in range(times):
            leased = await ledger.leases.lease_next(lane, f"worker/{number}")
            found.append(leased)
            if isinstance(leased, Leased) and done:
                await ledger.moves.move({leased.chunk_id: [Move(at, "accept", tries=1) for at in leased.waiting()]})
                await ledger.leases.give_back(leased.chunk_id, f"worker/{number}")
        return found

    return on_ledger(url, act)


def brands_picked(url, times):
    """The brands of the next chunks, in order."""
    return [brand_of(one) for one in picked(url, times)]


def share(client, brand, weight=1, cap=0):
    """Set a brand's share."""
    client.hset(KEYS.shares, brand_scope(brand), f"{weight} {cap}")
    if cap:
        client.hset(KEYS.shares, "", 1)


def test_a_brand_with_little_is_not_behind_one_with_much(redis_url, client):
    enqueue(client, A, *[100] * 20)
    enqueue(client, B, 10)
    assert brands_picked(redis_url, 3).count(B) == 1
    assert_consistent(client)


def test_brands_take_turns_by_specs_and_not_by_chunks(redis_url, client):
    enqueue(client, A, *[100] * 10)
    enqueue(client, B, *[25] * 40)
    told = Counter()
    for one in picked(redis_url, 25):
        told[brand_of(one)] += len(one.rows)
        assert abs(told[A] - told[B]) <= 125
    assert_consistent(client)


def test_a_brand_of_twice_the_weight_has_twice_the_specs(redis_url, client):
    share(client, A, weight=2)
    enqueue(client, A, *[10] * 60)
    enqueue(client, B, *[10] * 60)
    told = Counter(brands_picked(redis_url, 45))
    assert told == {A: 30, B: 15}


def test_one_brand_alone_has_every_turn_in_the_order_of_its_rows(redis_url, client):
    chunks = enqueue(client, A, *[10] * 12)
    assert [one.chunk_id for one in picked(redis_url, 13)[:12]] == chunks
    assert picked(redis_url, 1) == [NotLeased("nothing")]
    assert not client.keys(KEYS.flows("bulk") + "*")


def test_runs_of_a_brand_take_turns(redis_url, client):
    enqueue(client, A, *[10] * 10)
    picked(redis_url, 5)
    enqueue(client, A, *[10] * 10, run="june")
    told = [run_of(one.chunk_id) for one in picked(redis_url, 10)]
    assert told.count("b1") == 5
    assert all(told[at : at + 2] != told[at : at + 1] * 2 for at in range(9))


def test_what_is_left_of_a_chunk_comes_before_later_chunks(redis_url, client):
    first, *_ = enqueue(client, A, 10, 10, 10)
    (leased,) = picked(redis_url, 1, done=False)
    assert leased.chunk_id == first
    assert on_ledger(redis_url, lambda ledger: ledger.leases.give_back(first, "worker/0")) == GivenBack(10)
    assert picked(redis_url, 1, done=False)[0].chunk_id == first


def test_what_was_not_sent_is_not_charged(redis_url, client):
    """Else of two brands whose chunks are handed back in turn, because the limit is low, one would send nothing."""
    enqueue(client, A, *[100] * 6)
    enqueue(client, B, *[100] * 6)

    async def act(ledger):
        sent = Counter()
        for round_ in range(4):
            leased = [await ledger.leases.lease_next("bulk", f"worker/{round_}.{at}") for at in range(4)]
            sent[brand_of(leased[0])] += 1
            moves = [Move(at, "accept", tries=1) for at in leased[0].waiting()]
            await ledger.moves.move({leased[0].chunk_id: moves})
            for at, one in enumerate(leased):
                await ledger.leases.give_back(one.chunk_id, f"worker/{round_}.{at}")
        return sent

    assert on_ledger(redis_url, act) == {A: 2, B: 2}
    assert_consistent(client)


def test_a_new_brand_begins_where_the_others_are(redis_url, client):
    enqueue(client, A, *[10] * 40)
    enqueue(client, B, *[10] * 40)
    picked(redis_url, 40)
    enqueue(client, C, *[10] * 20)
    told = Counter(brands_picked(redis_url, 30))
    assert all(9 <= told[brand] <= 11 for brand in (A, B, C))


def test_leaving_and_coming_back_gains_nothing(redis_url, client):
    """A brand that enqueues one chunk at a time has no more than its share."""
    enqueue(client, A, *[10] * 60)
    enqueue(client, B, 100)
    told = Counter()
    for _ in range(40):
        (one,) = picked(redis_url, 1)
        told[brand_of(one)] += len(one.rows)
        if brand_of(one) == B:
            enqueue(client, B, 100)
        assert told[B] - told[A] <= 110
    assert_flows_fit(client, "bulk")


def test_a_tag_that_is_worth_nothing_is_forgotten(redis_url, client):
    enqueue(client, A, *[10] * 30)
    enqueue(client, B, 100)
    picked(redis_url, 2)
    assert client.zrange(KEYS.flows_left("bulk"), 0, -1) == [b"brand:2"]
    picked(redis_url, 12)
    enqueue(client, C, 10)
    picked(redis_url, 2)
    assert client.zrange(KEYS.flows_left("bulk"), 0, -1) == [b"brand:3"]


def test_lanes_know_nothing_of_each_other(redis_url, client):
    enqueue(client, A, 10)
    (urgent,) = enqueue(client, A, 10, run="june", lane="urgent")
    assert [one.chunk_id for one in picked(redis_url, 1, lane="urgent")] == [urgent]
    assert picked(redis_url, 1, lane="urgent") == [NotLeased("nothing")]


# --- caps -------------------------------------------------------------------------------------------------------------


def test_a_brand_that_rests_blocks_nobody(redis_url, client):
    share(client, A, cap=1)
    enqueue(client, A, *[10] * 5)
    enqueue(client, B, *[10] * 5)
    assert brands_picked(redis_url, 6).count(A) == 1
    (capped,) = picked(redis_url, 1)
    assert (capped.why, 5 < capped.seconds <= 10) == ("capped", True)
    assert_consistent(client)
    let_rest_end(client)
    assert brands_picked(redis_url, 1) == [A]


def let_rest_end(client):
    """Let the time pass until every brand goes on."""
    for key in (KEYS.flows_resting("bulk"), KEYS.share_rests):
        for flow in client.zrange(key, 0, -1):
            client.zincrby(key, -11_000, flow)


def test_a_brand_that_has_rested_has_no_more_than_its_share(redis_url, client):
    share(client, A, cap=1)
    enqueue(client, A, *[10] * 20)
    enqueue(client, B, *[10] * 40)
    picked(redis_url, 20)
    share(client, A, cap=10_000)
    let_rest_end(client)
    told = Counter(brands_picked(redis_url, 20))
    assert 9 <= told[A] <= 11


def test_a_chunk_that_comes_while_its_brand_rests_waits_with_it(redis_url, client):
    share(client, A, cap=1)
    enqueue(client, A, 10, 10)
    picked(redis_url, 2)
    enqueue(client, A, 10, run="june")
    assert picked(redis_url, 1)[0].why == "capped"
    assert_consistent(client)


def test_what_a_cap_was_charged_for_and_not_sent_is_given_back(redis_url, client):
    share(client, A, cap=1)
    (chunk,) = enqueue(client, A, 100)
    picked(redis_url, 1, done=False)
    on_ledger(redis_url, lambda ledger: ledger.leases.give_back(chunk, "worker/0"))
    assert isinstance(picked(redis_url, 1)[0], Leased)


# --- what else makes chunks ready, or takes them out ------------------------------------------------------------------


def test_held_runs_are_passed_over_and_come_back(redis_url, client):
    held = enqueue(client, A, *[1] * 250)
    (free,) = enqueue(client, A, 10, run="june")
    holds = HoldingLedger(client, KEYS)
    holds.hold("b1", "reason", "cure")
    assert [one.chunk_id for one in picked(redis_url, 1)] == [free]
    assert picked(redis_url, 1) == [NotLeased("held")]
    assert ready_chunks(client, "bulk") == set()
    holds.release("b1")
    assert ready_chunks(client, "bulk") == set(held)
    assert_consistent(client)


def test_a_chunk_that_is_taken_back_is_ready_no_more(redis_url, client):
    first, second = enqueue(client, A, 2, 2)
    moved(redis_url, first, Move(0, "cancel"), Move(1, "cancel"))
    assert ready_chunks(client, "bulk") == {second}
    moved(redis_url, second, Move(0, "pause"), Move(1, "pause"))
    assert ready_chunks(client, "bulk") == set()
    moved(redis_url, second, Move(0, "resume"))
    assert ready_chunks(client, "bulk") == {second}
    assert_consistent(client)


def test_an_open_chunk_that_is_lost_among_the_ready_ones_is_put_back(redis_url, client):
    (chunk,) = enqueue(client, A, 2)
    client.delete(*client.keys(KEYS.flows("bulk") + "*"))
    assert picked(redis_url, 1) == [NotLeased("nothing")]

    async def recover(ledger):
        return await ledger.leases.unannounced(), await ledger.leases.abandoned()

    on_ledger(redis_url, recover)
    let_pass(client, KEYS.open("bulk"), TAKE_UP_MS / 1000 + 1)
    on_ledger(redis_url, recover)
    assert [one.chunk_id for one in picked(redis_url, 1)] == [chunk]


def test_a_flow_without_chunks_stops_nobody(redis_url, client):
    client.zadd(KEYS.flows("bulk"), {"brand:0": 0})
    (chunk,) = enqueue(client, A, 2)
    assert [one.chunk_id for one in picked(redis_url, 1)] == [chunk]
    assert_flows_fit(client, "bulk")


def test_a_chunk_whose_lease_was_lost_is_ready_again(redis_url, client):
    (chunk,) = enqueue(client, A, 2)
    picked(redis_url, 1, done=False)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert picked(redis_url, 1) == [NotLeased("nothing")]
    assert on_ledger(redis_url, lambda ledger: ledger.leases.abandoned()) == [chunk]
    assert ready_chunks(client, "bulk") == {chunk}


def test_chunks_of_several_brands_have_the_turn_of_their_run(redis_url, client):
    uploads = UploadLedger(client, KEYS)
    number = uploads.open_run("may", "bulk")
    uploads.enqueue_open(number, [*identified([1], brand_id=A), *identified([2], brand_id=B)])
    assert client.zrange(KEYS.flows("bulk"), 0, -1) == [b"run:b1"]
    enqueue(client, A, 10, run="june")
    assert sorted(brands_picked(redis_url, 2)) == ["", A]
    assert_consistent(client)


# --- the bound --------------------------------------------------------------------------------------------------------

sizes = st.lists(st.integers(1, 20), min_size=1, max_size=12)
backlogs = st.dictionaries(st.sampled_from("1234"), st.tuples(sizes, st.integers(1, 4)), min_size=2, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(backlogs)
def test_two_brands_with_work_never_differ_by_more_than_the_bound(redis_url, client, backlog):
    """In pick order, divided by their weights: by the largest chunk of each, l_a / w_a + l_b / w_b."""
    client.flushall()
    for brand, (chunks, weight) in backlog.items():
        share(client, brand, weight)
        enqueue(client, brand, *chunks)
    left = {brand: len(chunks) for brand, (chunks, _) in backlog.items()}
    had = Counter()

    async def run():
        async with Redis.from_url(redis_url) as connection:
            ledger = WorkLedger(connection, KEYS)
            for at in range(sum(left.values())):
                leased = await ledger.leases.lease_next("bulk", f"worker/{at}")
                brand = brand_of(leased)
                had[brand] += len(leased.rows) / backlog[brand][1]
                left[brand] -= 1
                waiting = [one for one, count in left.items() if count]
                for one in waiting:
                    for other in waiting:
                        bound = sum(max(backlog[each][0]) / backlog[each][1] for each in (one, other))
                        assert abs(had[one] - had[other]) <= bound + 1e-9
            return await ledger.leases.lease_next("bulk", "worker/last")

    assert asyncio.run(run()) == NotLeased("nothing")
    assert set(left.values()) == {0}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_taken_out_and_put_back_the_flows_fit(redis_url, client, seed):
    chance = random.Random(seed)
    holds = HoldingLedger(client, KEYS)
    in_hand = []

    async def act(ledger):
        for step in range(150):
            what = chance.choice(
                ["enqueue", "lease", "lease", "give back", "crash", "hold", "release", "cancel", "cap"]
            )
            brand = chance.choice([A, B, C])
            if what == "enqueue":
                enqueue(client, brand, chance.randint(1, 9), run=chance.choice(["may", "june"]))
            elif what == "lease":
                leased = await ledger.leases.lease_next("bulk", f"worker/{step}")
                in_hand.extend([(leased, f"worker/{step}")] if isinstance(leased, Leased) else [])
            elif what == "give back" and in_hand:
                leased, owner = in_hand.pop(chance.randrange(len(in_hand)))
                moves = [Move(at, chance.choice(["accept", "again"]), tries=1) for at in leased.waiting()[:3]]
                await ledger.moves.move({leased.chunk_id: moves})
                await ledger.leases.give_back(leased.chunk_id, owner)
            elif what == "crash":
                in_hand.clear()
                let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
                let_pass(client, KEYS.retries, 4000)
                await ledger.leases.abandoned()
                await ledger.moves.release_due_retries()
            elif what in {"hold", "release"}:
                getattr(holds, what)(chance.choice(["b1", "b2"]), *["reason", "cure"][: 2 * (what == "hold")])
            elif what == "cancel":
                for chunk_id in sorted(ready_chunks(client, "bulk"))[:1]:
                    await ledger.moves.move({chunk_id: [Move(at, "cancel") for at in range(9)]})
            else:
                share(client, brand, chance.randint(1, 3), chance.choice([0, 5]))
                let_rest_end(client)
            assert_flows_fit(client, "bulk")

    on_ledger(redis_url, act)
    assert_consistent(client)
