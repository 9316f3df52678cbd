"""Taking back what was not accepted, on a real server: what it moves, what it waits for, and its repetition."""

import threading

import pytest

from couponpress.keys import HELD_SCORE, lane_of
from couponpress.ledger.cancel import CANCEL_BATCH, CancellingLedger
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.leases import NotLeased
from couponpress.ledger.moves import Move
from couponpress.ledger.progress import CANCELLED_WORDS, ReadingLedger
from couponpress.outcome import State
from tests.builders import KEYS, bring_to, let_pass, moved, on_ledger, states_of, stored

OPEN = [State.WAITING, State.RETRYING, State.LOOKING, State.PAUSED]


@pytest.fixture
def cancelling(client):
    return CancellingLedger(client, KEYS)


@pytest.fixture
def holding(client):
    return HoldingLedger(client, KEYS)


def cancel(cancelling, holding, number="b1"):
    holding.hold(number, "being cancelled", "cure")
    return sum(cancelling.cancel(number))


def lease(url, chunk_id):
    return on_ledger(url, lambda ledger: ledger.leases.lease(chunk_id, "worker"))


def test_every_state_ends_or_goes_on_as_it_should(redis_url, client, cancelling, holding):
    chunk_id = stored(redis_url, len(State))
    bring_to(redis_url, chunk_id, list(State))
    assert cancel(cancelling, holding) == len(OPEN)
    assert states_of(client, chunk_id) == [State.CANCELLED if state in OPEN else state for state in State]
    assert client.zscore(KEYS.open("bulk"), chunk_id) is None
    assert client.zcard(KEYS.retries) == client.zcard(KEYS.looks) == 0


def test_a_cancelled_spec_says_why(redis_url, client, cancelling, holding):
    stored(redis_url)
    cancel(cancelling, holding)
    (told,) = ReadingLedger(client, KEYS).outcomes("b1")
    assert (told.outcome, told.code, told.message) == ("cancelled", *CANCELLED_WORDS)


def test_a_run_of_which_nothing_was_accepted_is_finished(redis_url, client, cancelling, holding):
    stored(redis_url, 3)
    cancel(cancelling, holding)
    status = ReadingLedger(client, KEYS).status("b1")
    assert (status.cancelled, status.finished) == (3, True)


def test_other_runs_are_not_touched(redis_url, client, cancelling, holding):
    stored(redis_url, 3)
    other = stored(redis_url, 3, run="june", first=11)
    cancel(cancelling, holding)
    assert states_of(client, other) == [State.WAITING] * 3


def test_a_large_run_is_cancelled_in_steps_that_are_told(redis_url, client, cancelling, holding):
    chunks = 2 * CANCEL_BATCH + 1
    for number in range(chunks):
        stored(redis_url, 2, first=10 * number + 1)
    holding.hold("b1", "being cancelled", "cure")
    assert list(cancelling.cancel("b1")) == [2 * CANCEL_BATCH, 2 * CANCEL_BATCH, 2]


def test_interrupted_it_goes_on_where_it_stopped(redis_url, client, cancelling, holding):
    for number in range(CANCEL_BATCH + 3):
        stored(redis_url, first=number + 1)
    holding.hold("b1", "being cancelled", "cure")
    steps = cancelling.cancel("b1")
    assert next(steps) == CANCEL_BATCH
    steps.close()
    assert sum(cancelling.cancel("b1")) == 3
    assert sum(cancelling.cancel("b1")) == 0


def test_a_chunk_that_a_hold_keeps_back_is_cancelled_too(redis_url, client, cancelling, holding):
    chunk_id = stored(redis_url, 2)
    holding.hold("b1", "paused", "cure")
    assert lease(redis_url, chunk_id) == NotLeased("held")
    assert client.zscore(KEYS.open(lane_of(chunk_id)), chunk_id) == HELD_SCORE
    assert cancel(cancelling, holding) == 2
    assert holding.release("b1") == []
    assert client.zcard(KEYS.open("bulk")) == 0


def test_what_is_in_flight_ends_by_its_answer(redis_url, client, cancelling, holding):
    chunk_id = stored(redis_url, 3)
    lease(redis_url, chunk_id)
    holding.hold("b1", "being cancelled", "cure")
    steps = cancelling.cancel("b1")
    assert [next(steps), next(steps)] == [0, 0]  # the chunk is in hand: it is waited for
    moved(redis_url, chunk_id, Move(0, "accept", tries=1), Move(1, "again", tries=1, delay_ms=60_000))
    on_ledger(redis_url, lambda ledger: ledger.leases.give_back(chunk_id, "worker"))
    assert sum(steps) == 2
    assert states_of(client, chunk_id) == [State.ACCEPTED, State.CANCELLED, State.CANCELLED]


def test_the_chunk_of_a_dead_worker_is_waited_for_no_longer_than_its_lease(redis_url, client, cancelling, holding):
    chunk_id = stored(redis_url, 3)
    lease(redis_url, chunk_id)
    let_pass(client, KEYS.open("bulk"), 40)
    assert cancel(cancelling, holding) == 3
    assert lease(redis_url, chunk_id) == NotLeased("nothing")  # its entry goes with the next look at it


def test_what_was_accepted_and_is_not_known_after_all_is_not_sent_again(redis_url, client, cancelling, holding):
    chunk_id = stored(redis_url, 2)
    bring_to(redis_url, chunk_id, [State.ACCEPTED, State.ACCEPTED])
    cancel(cancelling, holding)
    moved(redis_url, chunk_id, Move(0, "absent", code="NOT_FOUND", message="not known"), Move(1, "succeed"))
    assert states_of(client, chunk_id) == [State.CANCELLED, State.SUCCEEDED]
    told = next(ReadingLedger(client, KEYS).outcomes("b1"))
    assert (told.code, told.message) == ("NOT_FOUND", "not known")


def test_nothing_is_leased_while_it_goes_on(redis_url, client, cancelling, holding):
    """Workers that grab at everything meanwhile get nothing of the run."""
    chunk_ids = [stored(redis_url, 2, first=10 * number + 1) for number in range(60)]
    got, done = [], threading.Event()

    def grab():
        while not done.is_set():
            got.extend(lease(redis_url, chunk_id) for chunk_id in chunk_ids[::7])

    holding.hold("b1", "being cancelled", "cure")
    grabber = threading.Thread(target=grab)
    grabber.start()
    try:
        assert sum(cancelling.cancel("b1")) == 120
    finally:
        done.set()
        grabber.join()
    assert set(got) <= {NotLeased("held"), NotLeased("nothing")}
    assert got
