"""The questions that anyone may ask, on a real server; none of them changes anything."""

import pytest
import redis

from couponpress.errors import UnknownRunError
from couponpress.ledger.attribution import Actor
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.moves import Move
from couponpress.ledger.progress import READ_BATCH, Hold, ReadingLedger
from couponpress.outcome import Outcome, State
from tests.builders import KEYS, PICTURE, bring_to, identified, moved, now_ms, on_ledger, stored


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def reading(client):
    return ReadingLedger(client, KEYS)


def test_a_run_is_found_by_its_name(redis_url, reading):
    stored(redis_url, run="秋季")
    assert reading.number_of("秋季") == "b1"


@pytest.mark.parametrize("name", ["nobody", "", "\ud800"], ids=ascii)
def test_a_run_that_does_not_exist_is_unknown(redis_url, reading, name):
    stored(redis_url)
    with pytest.raises(UnknownRunError) as caught:
        reading.number_of(name)
    assert caught.value.run == name


def test_runs_are_told_oldest_first(redis_url, client, reading):
    for age, name in enumerate(("may", "june", "july")):
        stored(redis_url, run=name, lane="urgent" if name == "june" else "bulk", first=age)
        client.zadd(KEYS.runs, {reading.number_of(name): 1000 - age})
    assert [reading.status(number).run for number in reading.run_numbers()] == ["july", "june", "may"]


def test_the_status_counts_every_state(redis_url, reading):
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    told = reading.status("b1")
    assert told.total == len(State)
    assert {state: getattr(told, state.value) for state in State} == dict.fromkeys(State, 1)


def test_the_status_tells_name_lane_and_age(redis_url, client, reading):
    before = now_ms(client) / 1000
    stored(redis_url, run="now", lane="urgent")
    told = reading.status("u1")
    assert (told.run, told.lane) == ("now", "urgent")
    assert before <= told.created_at <= now_ms(client) / 1000


@pytest.mark.parametrize("number", [None, "b1"], ids=["partner", "run"])
def test_the_status_tells_the_hold_that_is_in_force(redis_url, client, reading, number):
    stored(redis_url)
    HoldingLedger(client, KEYS).hold(number, "SIGN_ERROR: 签名错误", "mend it")
    assert reading.status("b1").hold == "SIGN_ERROR: 签名错误"


def test_the_hold_of_another_run_is_not_told(redis_url, client, reading):
    stored(redis_url)
    HoldingLedger(client, KEYS).hold("b2", "reason", "cure")
    assert reading.status("b1").hold is None


def test_an_outcome_tells_all_that_is_known_of_a_spec(redis_url, reading):
    chunk_id = stored(redis_url, 3)
    moved(
        redis_url,
        chunk_id,
        Move(0, "accept", tries=2),
        Move(0, "succeed", image_url=PICTURE),
        Move(1, "reject", tries=1, code="PARAM_ERROR", message="参数错误", request_id="08F1-268435457"),
    )
    assert list(reading.outcomes("b1")) == [
        Outcome("row 1", "cut-out-000001", "120344", "succeeded", PICTURE, attempts=2),
        Outcome("row 2", "cut-out-000002", "120344", "rejected", "", "PARAM_ERROR", "参数错误", 1, "08F1-268435457"),
        Outcome("row 3", "cut-out-000003", "120344", ""),
    ]


@pytest.mark.parametrize("state", [state for state in State if not state.ended])
def test_an_open_spec_has_no_outcome_yet(redis_url, reading, state):
    bring_to(redis_url, stored(redis_url), [state])
    assert [one.outcome for one in reading.outcomes("b1")] == [""]


def test_outcomes_come_in_the_order_of_enqueueing_however_many_chunks_there_are(redis_url, client, reading):
    uploads = UploadLedger(client, KEYS)
    run = uploads.open_run("may", "bulk")
    for number in range(2 * READ_BATCH + 1):
        uploads.enqueue_open(run, identified([2 * number, 2 * number + 1]))
    assert [one.row_id for one in reading.outcomes(run)] == [f"row {number}" for number in range(4 * READ_BATCH + 2)]


def test_outcomes_are_read_a_batch_at_a_time(redis_url, client, reading):
    uploads = UploadLedger(client, KEYS)
    run = uploads.open_run("may", "bulk")
    for number in range(READ_BATCH + 1):
        uploads.enqueue_open(run, identified([number]))
    outcomes = reading.outcomes(run)
    next(outcomes)
    moved(redis_url, f"{run}.{READ_BATCH}", Move(0, "fail"))
    moved(redis_url, f"{run}.{READ_BATCH + 1}", Move(0, "fail"))
    assert [one.outcome for one in outcomes][-2:] == ["", "failed"]


def test_chunks_that_were_discarded_leave_no_hole_in_the_outcomes(client, reading):
    uploads = UploadLedger(client, KEYS)
    run = uploads.open_run("may", "bulk")
    uploads.enqueue_open(run, identified([1]))
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([2]))
    uploads.discard(run, token)
    uploads.enqueue_open(run, identified([3]))
    assert [one.row_id for one in reading.outcomes(run)] == ["row 1", "row 3"]


def test_a_run_without_specs_has_no_outcomes(client, reading):
    assert list(reading.outcomes(UploadLedger(client, KEYS).open_run("may", "bulk"))) == []


def test_reasons_come_the_most_frequent_first(redis_url, reading):
    chunk_id = stored(redis_url, 6)
    codes = ["RARE", "OFTEN", "OFTEN", "OFTEN", "SOMETIMES", "SOMETIMES"]
    moved(redis_url, chunk_id, *(Move(position, "reject", code=code) for position, code in enumerate(codes)))
    assert list(reading.reasons("b1").items()) == [
        ("rejected OFTEN", 3),
        ("rejected SOMETIMES", 2),
        ("rejected RARE", 1),
    ]


def test_holds_are_told_with_the_names_of_their_runs(redis_url, client, reading):
    stored(redis_url, run="秋季")
    holding = HoldingLedger(client, KEYS)
    holding.hold(None, "all", "wait")
    holding.hold("b1", "one", "look")
    holds = {one.scope: (one.reason, one.cure) for one in reading.holds()}
    assert holds == {"partner": ("all", "wait"), "秋季": ("one", "look")}


def test_a_hold_that_the_fleet_set_reads_like_a_persons(redis_url, client, reading):
    on_ledger(redis_url, lambda ledger: ledger.holds.hold("partner", "SIGN_ERROR", "mend it", 12.5))
    assert reading.holds() == [Hold("partner", "SIGN_ERROR", "mend it", 12.5, by=Actor("fleet", "fleet"))]


def test_questions_change_nothing(redis_url, client, reading):
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    HoldingLedger(client, KEYS).hold("b1", "reason", "cure")
    before = {key: client.dump(key) for key in client.scan_iter()}
    reading.status("b1")
    list(reading.outcomes("b1"))
    reading.reasons("b1")
    reading.holds()
    reading.run_numbers()
    assert {key: client.dump(key) for key in client.scan_iter()} == before
