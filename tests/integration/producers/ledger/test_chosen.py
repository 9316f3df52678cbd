"""Specs that a filter chose are paused, resumed, cancelled or sent again, on a real server: these and no others."""

from datetime import timedelta

import pytest

from couponpress import InputError, Selection, UnknownRunError
from couponpress.ledger.leases import GivenBack, NotLeased
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from tests.builders import KEYS, PICTURE, bring_to, hints, moved, on_ledger, states_of, stored
from tests.waiting import soon


def states(producer, run):
    return [one.outcome or "open" for one in producer.outcomes(run)]


def test_exactly_what_matched_is_cancelled(producer, redis_url):
    bring_to(redis_url, stored(redis_url, 4), [State.WAITING, State.RETRYING, State.ACCEPTED, State.SUCCEEDED])
    stored(redis_url, 2, run="june", first=10)
    chosen = producer.choose("cancel", Selection.of(run="may"))
    assert (chosen.specs, dict(chosen.runs)) == (2, {"may": 2})
    stored(redis_url, 3, first=20)  # enqueued after the choice
    seen = []
    assert producer.act_on(chosen, why="wrong", on_progress=seen.append) == 2
    assert seen[-1] == 2
    assert states(producer, "may") == ["cancelled", "cancelled", "open", "succeeded", "open", "open", "open"]
    assert producer.run("june").waiting == 2
    assert producer.act_on(chosen) == 0, "the same again changes nothing"


def test_a_brand_is_cancelled_in_every_run(producer):
    for run in ("may", "june"):
        bodies = [{"brand_id": brand, "image_generation_type": "CUT_OUT", "row_id": f"{run} {brand}"} for brand in "78"]
        picture = {"cut_out": {"image_url": "https://wxpaylogo.qpic.cn/a.png"}}
        producer.enqueue_many([body | picture for body in bodies], run=run)
    chosen = producer.choose("cancel", Selection.of(brand="7"))
    assert dict(chosen.runs) == {"may": 1, "june": 1}
    assert producer.act_on(chosen) == 2
    assert [states(producer, run) for run in ("may", "june")] == [["cancelled", "open"]] * 2


def test_a_chunk_in_hand_is_waited_for_and_what_was_sent_stays(producer, redis_url):
    chunk_id = stored(redis_url, 2)
    chosen = producer.choose("cancel", Selection.of(run="may"))
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "worker"))
    rounds = []

    def gave_back(done):
        rounds.append(done)
        if len(rounds) == 3:  # until then the chunk is in hand, and nothing of it may be touched
            assert rounds == [0, 0, 0]
            moved(redis_url, chunk_id, Move(0, "accept", tries=1))
            given = on_ledger(redis_url, lambda ledger: ledger.leases.give_back(chunk_id, "worker"))
            assert isinstance(given, GivenBack)

    assert producer.act_on(chosen, on_progress=gave_back) == 1
    status = producer.run("may")
    assert (status.accepted, status.cancelled) == (1, 1)


def test_ended_specs_are_sent_again_by_reason(producer, redis_url, client):
    chunk_id = stored(redis_url, 4)
    moved(redis_url, chunk_id, *(Move(at, "reject", code=code) for at, code in enumerate(["A", "B", "A"])))
    chosen = producer.choose("redrive", Selection.of(code="A"))
    assert chosen.places == {chunk_id: [0, 2]}
    moved(redis_url, chunk_id, Move(3, "reject", code="A"))  # too late for this choice
    assert producer.act_on(chosen) == 2
    assert states(producer, "may") == ["open", "rejected", "open", "rejected"]
    assert producer.reasons("may") == {"rejected A": 1, "rejected B": 1}
    assert len(hints(client, KEYS.queue("bulk"))) == 1


def test_failed_specs_are_sent_again_only_when_named(producer, redis_url):
    bring_to(redis_url, stored(redis_url, 2), [State.FAILED, State.EXPIRED])
    assert producer.choose("redrive", Selection.of(run="may")).specs == 1
    assert producer.choose("redrive", Selection.of(states=("failed",))).specs == 1
    with pytest.raises(InputError, match="changes no spec that is succeeded"):
        producer.choose("redrive", Selection.of(states=("succeeded",)))
    with pytest.raises(InputError, match="changes no spec that is accepted"):
        producer.choose("cancel", Selection.of(states=("accepted",)))


def test_lane_age_and_run_narrow_the_choice(producer, redis_url):
    stored(redis_url, 2)
    stored(redis_url, 3, run="now", lane="urgent", first=10)
    assert producer.choose("cancel", Selection.of(lane="urgent")).specs == 3
    assert producer.choose("cancel", Selection.of(lane="urgent", run="may")).specs == 0
    assert producer.choose("cancel", Selection.of(older_than=timedelta(hours=1))).specs == 0
    with pytest.raises(UnknownRunError):
        producer.choose("cancel", Selection.of(run="nothing"))


def test_an_act_can_be_stopped_and_repeated(producer, redis_url):
    for first in range(0, 120, 10):
        stored(redis_url, 10, first=first)
    selection = Selection.of(run="may")

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        producer.act_on(producer.choose("cancel", selection), on_progress=stop)
    first, begun = producer.audit(act="cancel")
    assert (begun.result, first.result) == ("begun, 120 specs match", "stopped after 50 specs")
    assert producer.choose("cancel", selection).specs == 70
    assert producer.act_on(producer.choose("cancel", selection)) == 70
    assert producer.run("may").cancelled == 120


def test_the_audit_log_tells_the_filter(producer, redis_url):
    stored(redis_url)
    producer.act_on(producer.choose("cancel", Selection.of(brand="120344", lane="bulk")), why="wrong brand")
    ended, _ = producer.audit(act="cancel")
    told = ("120344", "all that match brand=120344 lane=bulk", "1 specs", "wrong brand")
    assert (ended.brand, ended.detail, ended.result, ended.why) == told


def test_exactly_what_matched_is_paused_and_goes_on_when_it_is_resumed(producer, redis_url, client):
    chunk = stored(redis_url, 4)
    bring_to(redis_url, chunk, [State.WAITING, State.WAITING, State.ACCEPTED, State.SUCCEEDED])
    moved(redis_url, chunk, Move(1, "again", tries=1, delay_ms=1000, code="SYSTEM_ERROR"))
    chosen = producer.choose("pause", Selection.of(code="SYSTEM_ERROR"))
    assert chosen.places == {chunk: [1]}
    assert producer.act_on(chosen, why="the cause is looked for") == 1
    assert states_of(client, chunk) == [State.WAITING, State.PAUSED, State.ACCEPTED, State.SUCCEEDED]
    assert client.zcard(KEYS.retries) == 0
    assert producer.act_on(producer.choose("pause", Selection.of(run="may"))) == 1
    status = producer.run("may")
    assert (status.waiting, status.paused, status.accepted, status.finished) == (0, 2, 1, False)
    assert client.zcard(KEYS.open("bulk")) == client.zcard(KEYS.waiting_since("bulk")) == 0
    before = len(hints(client, KEYS.queue("bulk")))
    assert isinstance(on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk, "worker")), NotLeased)

    assert producer.act_on(producer.choose("resume", Selection.of(code="SYSTEM_ERROR"))) == 1
    assert states_of(client, chunk)[:2] == [State.PAUSED, State.WAITING]
    assert len(hints(client, KEYS.queue("bulk"))) == before + 1
    leased = on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk, "worker"))
    assert (leased.states, leased.tries[1]) == ("pwas", 1)
    assert producer.act_on(producer.choose("pause", Selection.of(states=("retrying",)))) == 0
    assert [(one.act, one.why) for one in producer.audit(act="pause")][-1] == ("pause", "the cause is looked for")


def test_a_paused_spec_keeps_its_run_open_and_can_be_cancelled_or_completed(producer, redis_url, client):
    chunk = stored(redis_url, 3)
    moved(redis_url, chunk, Move(0, "again", tries=1, delay_ms=1000))
    assert producer.act_on(producer.choose("pause", Selection.of(run="may"))) == 3
    assert not producer.run("may").finished
    # It was sent before it was paused, and the platform had taken it although no answer came.
    assert moved(redis_url, chunk, Move(0, "succeed", image_url=PICTURE)) == [True]
    assert moved(redis_url, chunk, Move(1, "again", tries=1), Move(1, "expire")) == [False, False]
    assert producer.act_on(producer.choose("cancel", Selection.of(states=("paused",), run="may"))) == 2
    status = producer.run("may")
    assert (status.succeeded, status.cancelled, status.paused, status.finished) == (1, 2, 0, True)


def test_cancelling_a_run_takes_back_what_is_paused_of_it(producer, redis_url):
    stored(redis_url, 3)
    producer.act_on(producer.choose("pause", Selection.of(run="may")))
    assert producer.cancel("may") == 3
    assert producer.run("may").finished


def test_a_held_run_goes_on_being_held_when_its_paused_specs_are_resumed(producer, redis_url, client):
    chunk = stored(redis_url, 2)
    producer.act_on(producer.choose("pause", Selection.of(run="may")))
    producer.pause("may")
    assert producer.act_on(producer.choose("resume", Selection.of(run="may"))) == 2
    assert on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk, "worker")) == NotLeased("held")
    producer.resume("may")
    leased = on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk, "worker"))
    assert leased.states == "ww"


def test_only_what_can_be_paused_or_resumed_is_chosen(producer, redis_url):
    bring_to(redis_url, stored(redis_url, 3), [State.ACCEPTED, State.LOOKING, State.WAITING])
    assert producer.choose("pause", Selection.of(run="may")).specs == 1
    assert producer.choose("resume", Selection.of(run="may")).specs == 0
    with pytest.raises(InputError, match="changes no spec that is looking"):
        producer.choose("pause", Selection.of(states=("looking",)))
    with pytest.raises(InputError, match="changes no spec that is waiting"):
        producer.choose("resume", Selection.of(states=("waiting",)))


def test_a_run_that_is_counted_anew_keeps_its_paused_specs(producer, redis_url, client):
    stored(redis_url, 2)
    lost = stored(redis_url, 2, first=10)
    producer.act_on(producer.choose("pause", Selection.of(run="may")))
    moved(redis_url, lost, Move(0, "resume"), Move(1, "resume"))
    client.delete(KEYS.chunk(lost))
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(lost, "worker"))
    status = producer.run("may")
    assert (status.total, status.paused, status.waiting, status.finished) == (2, 2, 0, False)


def test_a_pause_with_an_end_is_over_by_itself(producer, redis_url, client):
    chunk_id = stored(redis_url, 3)
    chosen = producer.choose("pause", Selection.of(run="may"))
    assert producer.act_on(chosen, until=timedelta(milliseconds=200), why="a while") == 3
    assert states_of(client, chunk_id) == [State.PAUSED] * 3
    (paused,) = [one for one in producer.audit(act="pause") if one.result == "3 specs"]
    assert ", until 20" in paused.detail
    moved(redis_url, chunk_id, Move(2, "cancel"), by="person")
    assert client.zcard(KEYS.pauses) == 2, "whoever leaves the pause leaves its end"
    soon(lambda: on_ledger(redis_url, lambda ledger: ledger.moves.release_due_pauses()) == [chunk_id])
    assert states_of(client, chunk_id) == [State.WAITING, State.WAITING, State.CANCELLED]
    assert client.zcard(KEYS.pauses) == 0
    assert producer.run("may").waiting == 2


def test_only_a_pause_ends_by_itself(producer, redis_url):
    stored(redis_url)
    with pytest.raises(InputError, match="only a pause"):
        producer.act_on(producer.choose("cancel", Selection.of(run="may")), until=timedelta(hours=1))
    with pytest.raises(InputError, match="within a year"):
        producer.act_on(producer.choose("pause", Selection.of(run="may")), until=timedelta(days=400))
    assert producer.run("may").waiting == 1
