"""A person's acts on holds, on a real server, and what they do to chunks."""

import json

import pytest

from couponpress.keys import HELD_SCORE, lane_of
from couponpress.ledger.holding import HoldingLedger
from couponpress.ledger.working import Leased
from tests.builders import KEYS, on_ledger, stored


@pytest.fixture
def holding(client):
    return HoldingLedger(client, KEYS)


def lease(url, chunk_id):
    return on_ledger(url, lambda ledger: ledger.lease(chunk_id, "worker"))


def score(client, chunk_id):
    return client.zscore(KEYS.open(lane_of(chunk_id)), chunk_id)


@pytest.fixture
def chunks(redis_url, client):
    """One chunk of each of three runs, one of them urgent."""
    names = [("may", "bulk"), ("june", "bulk"), ("now", "urgent")]
    return [stored(redis_url, run=run, lane=lane, first=first) for first, (run, lane) in enumerate(names)]


def held(url, chunk_ids):
    """Those of the chunks that a worker is told are held."""
    return [chunk_id for chunk_id in chunk_ids if lease(url, chunk_id) == "held"]


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
    assert on_ledger(redis_url, lambda ledger: ledger.hold("run:b1", "reason", "cure", 1.0))
    assert not holding.hold("b1", "second", "cure")
    assert set(on_ledger(redis_url, lambda ledger: ledger.holds())) == {"run:b1"}


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
