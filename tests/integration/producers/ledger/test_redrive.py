"""Ended specs are sent again: by outcome and code, in steps, and never one that succeeded."""

import json

import pytest

from couponpress import InputError, UnknownRunError
from couponpress.keys import HELD_SCORE
from couponpress.ledger.leases import LEASE_MS, GivenBack, KeptBack, Leased, NotLeased, Renewed
from couponpress.ledger.moves import CANARY_SPECS, Move
from couponpress.ledger.progress import ReadingLedger
from couponpress.ledger.redrive import REDRIVE_BATCH, RedriveLedger
from couponpress.outcome import State
from couponpress_worker.runtime.recovery import chunks_to_publish
from tests.builders import (
    KEYS,
    PICTURE,
    assert_consistent,
    bring_to,
    hints,
    let_pass,
    moved,
    on_ledger,
    spec,
    states_of,
    stored,
)

WAITING, FAILED, SUCCEEDED = State.WAITING, State.FAILED, State.SUCCEEDED
ENDED = {
    "reject": ("rejected", "PARAM_ERROR"),
    "fail": ("failed", "FAIL"),
    "expire": ("expired", "NO_ANSWER"),
    "cancel": ("cancelled", "BY_HAND"),
}


@pytest.fixture
def ended(redis_url, client):
    """A finished run: one spec of each bad outcome, one rejected otherwise, one without a code, one succeeded."""
    chunk_id = stored(redis_url, 7)
    moves = [
        Move(position, name, tries=2, code=code, message="why")
        for position, (name, (_, code)) in enumerate(ENDED.items())
    ]
    moves += [Move(4, "reject", tries=1, code="NO_AUTH"), Move(5, "reject"), Move(6, "succeed", image_url=PICTURE)]
    assert all(moved(redis_url, chunk_id, *moves))
    return chunk_id


def reasons(client):
    return ReadingLedger(client, KEYS).reasons("b1")


def test_what_ended_badly_goes_again_but_failed_specs_only_when_asked_for(client, producer, ended):
    assert producer.redrive("may") == 5
    assert states_of(client, ended) == [WAITING, FAILED, *[WAITING] * 4, SUCCEEDED]
    assert producer.redrive("may", outcome="failed") == 1
    assert states_of(client, ended) == [WAITING] * 6 + [SUCCEEDED]
    assert reasons(client) == {}
    told = producer.run("may")
    assert (told.waiting, told.succeeded, told.finished) == (6, 1, False)
    assert [one.attempts for one in producer.outcomes("may")] == [0] * 6 + [1]
    assert {(one.outcome, one.code, one.message) for one in list(producer.outcomes("may"))[:6]} == {("", "", "")}
    assert list(producer.outcomes("may"))[6].image_url == PICTURE


@pytest.mark.parametrize(("position", "outcome"), [*enumerate(["rejected", "failed", "expired", "cancelled"])])
def test_only_one_outcome_goes_again(client, producer, ended, position, outcome):
    before = states_of(client, ended)
    again = {0, 4, 5} if outcome == "rejected" else {position}
    assert producer.redrive("may", outcome=outcome) == len(again)
    after = states_of(client, ended)
    assert [at for at in range(7) if after[at] is not before[at]] == sorted(again)
    assert not any(reason.startswith(outcome) for reason in reasons(client))


def test_only_one_code_goes_again(client, producer, ended):
    before = reasons(client)
    assert producer.redrive("may", code="NO_AUTH") == 1
    assert states_of(client, ended)[4] is WAITING
    assert reasons(client) == {reason: count for reason, count in before.items() if reason != "rejected NO_AUTH"}


def test_outcome_and_code_must_both_fit(producer, ended):
    assert producer.redrive("may", outcome="failed", code="NO_AUTH") == 0
    assert producer.redrive("may", outcome="rejected", code="NO_AUTH") == 1


def test_succeeded_specs_cannot_be_asked_for(client, producer, ended):
    with pytest.raises(InputError, match="not succeeded"):
        producer.redrive("may", outcome="succeeded")
    assert states_of(client, ended)[6] is SUCCEEDED


def test_a_run_that_does_not_exist_cannot_be_redriven(redis_url, producer):
    with pytest.raises(UnknownRunError):
        producer.redrive("nobody's")


def test_redriving_again_finds_nothing(client, producer, ended):
    producer.redrive("may")
    assert producer.redrive("may") == 0


def test_open_specs_stay_where_they_are(redis_url, client, producer):
    states = [WAITING, State.RETRYING, State.LOOKING, State.ACCEPTED]
    chunk_id = stored(redis_url, 4)
    bring_to(redis_url, chunk_id, states)
    assert producer.redrive("may") == 0
    assert states_of(client, chunk_id) == states


def test_the_chunk_is_hinted_at_and_its_bodies_are_the_same_bytes(redis_url, client, producer, ended):
    before = client.hget(KEYS.chunk(ended), "z")
    producer.redrive("may", code="NO_AUTH")
    (hint,) = hints(client, KEYS.queue("bulk"))
    assert json.loads(hint)["headers"]["argsrepr"] == "['b1.1']"
    leased = on_ledger(redis_url, lambda ledger: ledger.leases.lease(ended, "me"))
    assert isinstance(leased, Leased)
    assert leased.waiting() == [4]
    assert client.hget(KEYS.chunk(ended), "z") == before


def test_a_redrive_whose_hints_were_lost_is_found_by_recovery(redis_url, client, ended):
    list(RedriveLedger(client, KEYS).redrive("b1", None, None))  # killed before it could publish anything
    assert on_ledger(redis_url, chunks_to_publish) == [ended]


def test_a_chunk_in_hand_is_left_to_its_worker(redis_url, client, producer):
    chunk_id = stored(redis_url, 2)
    assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "me")), Leased)
    moved(redis_url, chunk_id, Move(0, "reject"), Move(1, "accept"))
    assert producer.redrive("may") == 1
    assert hints(client, KEYS.queue("bulk")) == []
    assert on_ledger(redis_url, lambda ledger: ledger.leases.renew(chunk_id, "me")) == Renewed()
    assert on_ledger(redis_url, lambda ledger: ledger.leases.give_back(chunk_id, "me")) == GivenBack(1)


def test_a_held_run_is_redriven_and_stays_held(redis_url, client, producer, ended):
    producer.pause("may")
    producer.redrive("may")
    assert on_ledger(redis_url, lambda ledger: ledger.leases.lease(ended, "me")) == NotLeased("held")
    assert client.zscore(KEYS.open("bulk"), ended) == HELD_SCORE
    assert producer.resume("may")
    assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(ended, "me")), Leased)


def test_an_end_after_a_redrive_is_counted_once(redis_url, client, producer, ended):
    producer.redrive("may")
    producer.redrive("may", outcome="failed")
    again = [Move(position, "reject", tries=1, code="PARAM_ERROR", message="still") for position in range(6)]
    assert all(moved(redis_url, ended, *again))
    assert reasons(client) == {"rejected PARAM_ERROR": 6}
    told = producer.run("may")
    assert (told.rejected, told.succeeded, told.failed, told.finished) == (6, 1, 0, True)
    assert [one.attempts for one in producer.outcomes("may")] == [1] * 7


def test_a_large_run_goes_in_steps_and_may_be_broken_off(redis_url, client, producer):
    chunks = 2 * REDRIVE_BATCH + 1
    producer.enqueue_many([spec(number) for number in range(100 * chunks)], run="may")
    client.delete(KEYS.queue("bulk"))
    for sequence in range(1, chunks + 1):
        moved(redis_url, f"b1.{sequence}", *(Move(position, "reject", code="NO_AUTH") for position in range(100)))
    assert producer.run("may").finished
    seen = []

    def stop_after_the_first(again):
        seen.append(again)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        producer.redrive("may", on_progress=stop_after_the_first)
    assert seen == [100 * REDRIVE_BATCH]
    assert reasons(client) == {"rejected NO_AUTH": 100 * (chunks - REDRIVE_BATCH)}
    assert len(hints(client, KEYS.queue("bulk"))) == REDRIVE_BATCH
    assert_consistent(client)
    progress = []
    assert producer.redrive("may", on_progress=progress.append) == 100 * (chunks - REDRIVE_BATCH)
    assert progress == [0, 100 * REDRIVE_BATCH, 100 * (chunks - REDRIVE_BATCH)]
    assert producer.run("may").waiting == 100 * chunks


def test_a_redriven_run_is_not_forgotten(redis_url, client, producer, ended):
    let_pass(client, KEYS.finished, 100)
    producer.redrive("may")
    assert on_ledger(redis_url, lambda ledger: ledger.forget_finished(60)) == []
    assert client.exists(KEYS.chunk(ended))


def test_a_chunk_that_died_before_its_redrive_has_all_its_chances_again(redis_url, client, producer, ended):
    client.hset(KEYS.chunk(ended), mapping={"lost": 2, "lost_by": "dead"})
    producer.redrive("may")
    for _ in range(2):
        assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(ended, "dead")), Leased)
        let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
        assert on_ledger(redis_url, lambda ledger: ledger.leases.abandoned()) == [ended]


# --- beside holds and cancelling --------------------------------------------------------------------------------------


def test_cancelled_specs_go_again_by_the_code_that_they_are_shown_with(redis_url, client, producer):
    chunk_id = stored(redis_url, 3)
    assert producer.cancel("may") == 3
    assert {one.code for one in producer.outcomes("may")} == {"CANCELLED"}
    assert producer.redrive("may", code="NO_AUTH") == 0
    assert producer.redrive("may", code="CANCELLED") == 3
    assert states_of(client, chunk_id) == [WAITING] * 3


def test_after_a_redrive_what_was_accepted_before_the_cancelling_may_go_again(redis_url, client, producer):
    chunk_id = stored(redis_url, 3)
    moved(redis_url, chunk_id, Move(0, "accept"), Move(1, "accept"))
    assert producer.cancel("may") == 1
    moved(redis_url, chunk_id, Move(0, "absent"))
    assert states_of(client, chunk_id)[0] is State.CANCELLED
    assert producer.redrive("may") == 2
    moved(redis_url, chunk_id, Move(1, "absent"))
    assert states_of(client, chunk_id) == [WAITING, State.RETRYING, WAITING]


def test_rejections_from_before_a_redrive_do_not_hold_the_run(redis_url, client, producer):
    chunk_id = stored(redis_url, 40)
    for _ in range(2):
        moved(redis_url, chunk_id, *(Move(position, "reject", tries=1, code="NO_AUTH") for position in range(39)))
        assert producer.holds() == []
        assert producer.redrive("may") == 39


def test_a_redrive_of_a_run_that_the_canary_held_waits_for_the_resume(redis_url, client, producer):
    chunk_id = stored(redis_url, CANARY_SPECS + 1)
    moved(redis_url, chunk_id, *(Move(position, "reject", tries=1, code="NO_AUTH") for position in range(CANARY_SPECS)))
    assert [hold.scope for hold in producer.holds()] == ["may"]
    assert producer.redrive("may") == CANARY_SPECS
    assert on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "me")) == NotLeased("held")
    producer.resume("may")
    assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "me")), Leased)


def test_a_redriven_chunk_of_a_held_brand_is_kept_back_again(redis_url, client, producer):
    chunk_id = stored(redis_url, 2)
    moved(redis_url, chunk_id, Move(0, "reject", code="GAVE_UP"), Move(1, "accept"))
    producer.pause(brand="120344")
    assert producer.redrive("may") == 1
    assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "me")), Leased)
    kept = {0: "brand:120344"}
    assert on_ledger(redis_url, lambda ledger: ledger.leases.give_back(chunk_id, "me", kept)) == KeptBack()
    assert client.zscore(KEYS.open("bulk"), chunk_id) == HELD_SCORE
