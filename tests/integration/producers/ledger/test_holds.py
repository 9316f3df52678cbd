"""A person's acts on holds, on a real server, and what they do to chunks."""

import json

import pytest

from couponpress.cli.run_lines import hold_text
from couponpress.keys import HELD_SCORE, lane_of
from couponpress.ledger.attribution import Actor, Attribution
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.leases import GivenBack, KeptBack, Leased, NotLeased
from couponpress.ledger.moves import Move
from couponpress.ledger.progress import ReadingLedger
from tests.builders import KEYS, moved, on_ledger, stored


@pytest.fixture
def holding(client):
    return HoldingLedger(client, KEYS)


def lease(url, chunk_id):
    return on_ledger(url, lambda ledger: ledger.leases.lease(chunk_id, "worker"))


def score(client, chunk_id):
    return client.zscore(KEYS.open(lane_of(chunk_id)), chunk_id)


@pytest.fixture
def chunks(redis_url, client):
    """One chunk of each of three runs, one of them urgent."""
    names = [("may", "bulk"), ("june", "bulk"), ("now", "urgent")]
    return [stored(redis_url, run=run, lane=lane, first=first) for first, (run, lane) in enumerate(names)]


def held(url, chunk_ids):
    """Those of the chunks that a worker is told are held."""
    return [chunk_id for chunk_id in chunk_ids if lease(url, chunk_id) == NotLeased("held")]


def test_a_hold_of_the_partner_keeps_everything_back(redis_url, holding, chunks):
    assert holding.hold(None, "reason", "cure")
    assert held(redis_url, chunks) == chunks


def test_a_hold_of_a_run_keeps_that_run_back(redis_url, holding, chunks):
    assert holding.hold("b2", "reason", "cure")
    assert held(redis_url, chunks) == [chunks[1]]


def test_a_hold_is_stored_with_reason_cure_and_moment(client, holding):
    holding.hold(None, "签名错误", "mend it")
    told = json.loads(client.hget(KEYS.holds, "partner"))
    assert (told["reason"], told["cure"]) == ("签名错误", "mend it")
    assert told["since"] > 1.7e9


def test_the_first_reason_stays(client, holding):
    assert holding.hold(None, "first", "cure")
    assert not holding.hold(None, "second", "cure")
    assert json.loads(client.hget(KEYS.holds, "partner"))["reason"] == "first"


def test_the_fleet_and_a_person_hold_the_same_thing(redis_url, holding):
    assert on_ledger(redis_url, lambda ledger: ledger.holds.hold("run:b1", "reason", "cure", 1.0))
    assert not holding.hold("b1", "second", "cure")
    assert set(on_ledger(redis_url, lambda ledger: ledger.holds.holds())) == {"run:b1"}


def test_releasing_what_is_not_held_says_so(holding, chunks):
    assert holding.release(None) is None
    assert holding.release("b1") is None


def test_releasing_again_says_that_nothing_is_held(redis_url, holding, chunks):
    holding.hold(None, "reason", "cure")
    held(redis_url, chunks)
    assert len(holding.release(None)) == 3
    assert holding.release(None) is None


def test_a_hold_that_kept_nothing_back_is_released_without_chunks(holding, chunks):
    holding.hold(None, "reason", "cure")
    assert holding.release(None) == []


def test_released_chunks_are_to_be_published_and_can_be_leased(redis_url, client, holding, chunks):
    holding.hold(None, "reason", "cure")
    held(redis_url, chunks)
    assert sorted(holding.release(None)) == sorted(chunks)
    assert [score(client, chunk_id) for chunk_id in chunks] == [0, 0, 0]
    assert all(isinstance(lease(redis_url, chunk_id), Leased) for chunk_id in chunks)


def test_releasing_a_run_leaves_other_runs_alone(redis_url, client, holding, chunks):
    for number in ("b1", "b2"):
        holding.hold(number, "reason", "cure")
    held(redis_url, chunks)
    assert holding.release("b1") == [chunks[0]]
    assert score(client, chunks[1]) == HELD_SCORE


def test_a_released_run_stays_while_the_partner_is_held(redis_url, client, holding, chunks):
    holding.hold(None, "reason", "cure")
    holding.hold("b1", "reason", "cure")
    held(redis_url, chunks)
    assert holding.release("b1") == []
    assert score(client, chunks[0]) == HELD_SCORE
    assert sorted(holding.release(None)) == sorted(chunks)


def test_a_held_run_stays_when_the_partner_is_released(redis_url, client, holding, chunks):
    holding.hold(None, "reason", "cure")
    holding.hold("b1", "reason", "cure")
    held(redis_url, chunks)
    assert sorted(holding.release(None)) == sorted(chunks[1:])
    assert score(client, chunks[0]) == HELD_SCORE
    assert holding.release("b1") == [chunks[0]]


def test_numbers_that_begin_alike_are_told_apart(redis_url, client, holding):
    chunks = [stored(redis_url, run=f"run {count}", first=count) for count in range(17)]
    holding.hold("b1", "reason", "cure")
    holding.hold("b11", "reason", "cure")
    assert held(redis_url, chunks) == [chunks[0], chunks[16]]
    assert holding.release("b1") == [chunks[0]]
    assert score(client, chunks[16]) == HELD_SCORE


def test_a_chunk_that_is_kept_back_for_nothing_goes_on_with_the_next_release(client, holding, chunks):
    client.zadd(KEYS.open("bulk"), {chunks[0]: HELD_SCORE})
    assert holding.release(None) == [chunks[0]]
    assert holding.release(None) is None


def test_a_chunk_that_is_worked_on_is_not_touched_by_a_release(redis_url, client, holding, chunks):
    lease(redis_url, chunks[0])
    before = score(client, chunks[0])
    holding.hold(None, "reason", "cure")
    assert holding.release(None) == []
    assert score(client, chunks[0]) == before


# --- brands -----------------------------------------------------------------------------------------------------------


def give_back(url, chunk_id, kept):
    return on_ledger(url, lambda ledger: ledger.leases.give_back(chunk_id, "worker", kept))


def kept_back(url, chunk_id, *brands):
    """Lease a chunk of which nothing can be sent for the holds of these brands; returns what giving it back told."""
    count = len(lease(url, chunk_id).rows)
    return give_back(url, chunk_id, {position: f"brand:{brands[position % len(brands)]}" for position in range(count)})


@pytest.fixture
def two(redis_url, client):
    """A chunk of two specs."""
    return stored(redis_url, 2)


def test_a_chunk_whose_rest_is_of_held_brands_is_nobodys_business(redis_url, client, holding, two):
    assert holding.hold(None, "reason", "cure", brand_id="7")
    assert kept_back(redis_url, two, "7") == KeptBack()
    assert score(client, two) == HELD_SCORE

    async def found(ledger):
        leases = ledger.leases
        return await leases.abandoned() + await leases.unannounced() + await leases.waiting("bulk", 10)

    assert on_ledger(redis_url, found) == []


def test_a_chunk_that_waits_for_a_brand_goes_on_at_once_when_it_is_released(redis_url, client, holding, two):
    holding.hold(None, "reason", "cure", brand_id="7")
    kept_back(redis_url, two, "7")
    assert holding.release(None, brand_id="7") == [two]
    assert score(client, two) == 0
    assert lease(redis_url, two).waiting() == [0, 1]
    assert client.hget(KEYS.chunk(two), "kept") is None


def test_one_of_two_brands_is_enough_to_go_on(redis_url, client, holding, two):
    for brand in ("7", "8"):
        holding.hold(None, "reason", "cure", brand_id=brand)
    kept_back(redis_url, two, "7", "8")
    assert holding.release(None, brand_id="8") == [two]
    assert isinstance(lease(redis_url, two), Leased)
    assert give_back(redis_url, two, {0: "brand:7"}) == GivenBack(2)  # position 1 may be sent


@pytest.mark.parametrize(
    ("number", "brand"), [(None, "9"), ("b1", None), ("b2", None), (None, None)], ids=["brand", "run", "other", "all"]
)
def test_the_release_of_another_hold_leaves_it_kept_back(redis_url, client, holding, two, number, brand):
    holding.hold(None, "reason", "cure", brand_id="7")
    kept_back(redis_url, two, "7")
    holding.hold(number, "reason", "cure", brand_id=brand)
    assert holding.release(number, brand_id=brand) == []
    assert score(client, two) == HELD_SCORE


def test_a_brand_that_is_released_while_the_run_is_held_waits_for_both(redis_url, client, holding, two):
    holding.hold(None, "reason", "cure", brand_id="7")
    kept_back(redis_url, two, "7")
    holding.hold("b1", "reason", "cure")
    assert holding.release(None, brand_id="7") == []
    assert holding.release("b1") == [two]


def test_a_brand_that_was_released_meanwhile_keeps_nothing_back(redis_url, client, holding, two):
    assert kept_back(redis_url, two, "7") == GivenBack(2)
    assert client.hget(KEYS.chunk(two), "kept") is None


def test_what_kept_a_chunk_back_once_is_forgotten_when_its_run_is_held(redis_url, client, holding, two):
    holding.hold(None, "reason", "cure", brand_id="7")
    kept_back(redis_url, two, "7")
    moved(redis_url, two, Move(0, "again", delay_ms=0))
    moved(redis_url, two, Move(0, "release"))  # of another brand, say: now something may be sent
    holding.hold("b1", "reason", "cure")
    assert lease(redis_url, two) == NotLeased("held")
    assert holding.release("b1") == [two]


def test_a_retry_that_falls_due_opens_a_chunk_that_is_kept_back(redis_url, client, holding, two):
    holding.hold(None, "reason", "cure", brand_id="7")
    lease(redis_url, two)
    moved(redis_url, two, Move(0, "again", delay_ms=0))
    assert give_back(redis_url, two, {1: "brand:7"}) == KeptBack()
    assert on_ledger(redis_url, lambda ledger: ledger.moves.release_due_retries()) == [two]
    assert lease(redis_url, two).waiting() == [0, 1]


# --- the channel ------------------------------------------------------------------------------------------------------


def test_every_change_is_called_out_and_nothing_else(redis_url, client, holding):
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(KEYS.holds_changed)
        while channel.get_message(timeout=1):
            pass
        holding.hold("b1", "reason", "cure")
        holding.hold("b1", "again", "cure")
        on_ledger(redis_url, lambda ledger: ledger.holds.hold("brand:7", "reason", "cure", 1.0))
        holding.release("b1")
        holding.release("b1")
        heard = [channel.get_message(timeout=5)["data"] for _ in range(3)]
        assert heard == [b"run:b1", b"brand:7", b"run:b1"]
        assert channel.get_message(timeout=0.2) is None


def test_a_hold_says_who_set_it_and_why(client, holding):
    by = Attribution(Actor("gateway", "ops", "10.0.0.7"), "maintenance")
    assert holding.hold(None, "paused by hand", "cure", by=by)
    (hold,) = ReadingLedger(client, KEYS).holds()
    assert (hold.by, hold.why) == (by.actor, "maintenance")
    told = "held: partner: paused by hand: maintenance\n      cure: cure\n      by: ops (gateway, 10.0.0.7) since 20"
    assert hold_text(hold).startswith(told)


def test_a_hold_whose_end_is_there_holds_nothing(redis_url, client, holding, chunks):
    now = client.time()[0]
    holding.hold(None, "reason", "cure", until=now + 3600)
    assert held(redis_url, chunks) == chunks
    client.hset(KEYS.holds, "partner", json.dumps({"reason": "r", "cure": "c", "since": 1, "until": now - 1}))
    reading = ReadingLedger(client, KEYS)
    assert reading.holds() == []
    assert reading.status("b1").hold is None
    assert held(redis_url, chunks) == []
    assert on_ledger(redis_url, lambda ledger: ledger.holds.holds_and_ended()) == ({}, ["partner"])
    assert holding.hold(None, "again", "cure"), "what is over is no hold"


def test_of_two_holds_the_longer_one_stays(client, holding):
    now = client.time()[0]
    assert holding.hold(None, "an hour", "cure", until=now + 3600)
    assert not holding.hold(None, "half an hour", "cure", until=now + 1800)
    assert holding.hold(None, "two hours", "cure", until=now + 7200)
    assert holding.hold(None, "for good", "cure")
    assert not holding.hold(None, "a year", "cure", until=now + 365 * 86400)
    (hold,) = ReadingLedger(client, KEYS).holds()
    assert (hold.reason, hold.until) == ("for good", None)


def test_a_brands_chunk_is_not_kept_back_by_a_hold_that_is_over(redis_url, client, holding):
    chunk_id = stored(redis_url)
    client.hset(KEYS.holds, "brand:7", json.dumps({"reason": "r", "cure": "c", "since": 1, "until": 1}))
    lease(redis_url, chunk_id)
    given = on_ledger(redis_url, lambda ledger: ledger.leases.give_back(chunk_id, "worker", {0: "brand:7"}))
    assert isinstance(given, GivenBack)


def test_releasing_one_hold_frees_what_an_ended_one_kept_back_too(redis_url, client, holding, chunks):
    holding.hold(None, "reason", "cure")
    held(redis_url, chunks)
    client.hset(KEYS.holds, "run:b1", json.dumps({"reason": "r", "cure": "c", "since": 1, "until": 1}))
    assert sorted(holding.release(None)) == sorted(chunks)


def test_only_what_is_over_is_released_as_such(redis_url, client, holding, chunks):
    holding.hold(None, "reason", "cure", until=client.time()[0] + 3600)
    assert on_ledger(redis_url, lambda ledger: ledger.holds.release_ended(["partner", "run:b1"])) == []
    assert client.hexists(KEYS.holds, "partner")
