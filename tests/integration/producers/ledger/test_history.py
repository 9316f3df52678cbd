"""The history of a spec, written by the scripts that move it: by whom, with which ids, in bounded memory."""

import pytest

from couponpress import Client, Selection, State
from couponpress.ledger.lookup import FindingLedger
from couponpress.ledger.moves import Move
from tests.builders import KEYS, PICTURE, cut_out_body, moved, on_ledger, producer_settings, stored

ANSWER = "08F5D5CE0610EF0318DCCC5B20C8BE0128B4A80D-0"
NOTICE = "6a7d1ffe-7a5c-5eb9-8f1c-0123456789ab"


@pytest.fixture
def ledger(client):
    return FindingLedger(client, KEYS)


def events_of(ledger, number=1):
    """Who did what to a spec, with code and ids, after it was enqueued."""
    found = ledger.spec(cut_out_body(number)["task_id"])
    first, *events = found.events
    assert (first.event, first.by) == ("enqueued", "producer")
    assert [event.at for event in found.events] == sorted(event.at for event in found.events)
    return [(one.by, one.event, one.code, one.request_id, one.notice_id) for one in events]


def test_a_spec_that_went_plainly_costs_moments_and_half_an_id(ledger, redis_url, client):
    chunk = stored(redis_url, 100)
    moved(redis_url, chunk, *(Move(one, "accept", tries=1, request_id=ANSWER) for one in range(100)), by="submit")
    moved(
        redis_url,
        chunk,
        *(Move(one, "succeed", image_url=PICTURE, heard_by=NOTICE) for one in range(100)),
        by="callback",
    )
    assert events_of(ledger) == [
        ("submit", "accepted", "", ANSWER, ""),
        ("callback", "succeeded", "", "", "…456789ab"),
    ]
    assert client.memory_usage(KEYS.history(chunk)) < 100 * (30 + len(ANSWER) / 2)


@pytest.mark.parametrize("request_id", ["", "0", "08A-0", "08ab-0", "一 \x1f\x1f", "F" * 120])
def test_an_id_of_another_form_is_kept_within_a_bound(ledger, redis_url, request_id):
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "accept", tries=1, request_id=request_id), by="submit")
    moved(redis_url, chunk, Move(0, "succeed", image_url=PICTURE, heard_by=NOTICE), by="callback")
    assert events_of(ledger)[0] == ("submit", "accepted", "", request_id[:100], "")


def test_an_answer_that_is_recorded_after_the_callback_is_told_once(ledger, redis_url):
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "succeed", image_url=PICTURE, heard_by=NOTICE), by="callback")
    for _ in range(2):
        late = Move(0, "accept", tries=1, request_id=ANSWER)
        assert moved(redis_url, chunk, late, by="submit") == [False]
    assert events_of(ledger) == [
        ("callback", "succeeded", "", "", NOTICE),
        ("submit", "accepted", "", ANSWER, ""),
    ]
    assert ledger.spec(cut_out_body(1)["task_id"]).line.attempts == 1


def test_trouble_is_told_with_every_id(ledger, redis_url):
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "again", tries=1, code="SYSTEM_ERROR", request_id="08AA-1"), by="submit")
    moved(redis_url, chunk, Move(0, "release"))
    moved(redis_url, chunk, Move(0, "look", tries=1, code="ALREADY_EXISTS", request_id="08AA-2"), by="submit")
    moved(redis_url, chunk, Move(0, "asked", code="PROCESSING", heard_by="08AA-3"), by="query")
    moved(redis_url, chunk, Move(0, "accept", heard_by="08AA-4"), by="query")
    moved(redis_url, chunk, Move(0, "fail", code="FAIL", heard_by=NOTICE), by="callback")
    assert events_of(ledger) == [
        ("submit", "retrying", "SYSTEM_ERROR", "08AA-1", ""),
        ("submit", "looking", "ALREADY_EXISTS", "08AA-2", ""),
        ("query", "asked", "PROCESSING", "08AA-3", ""),
        ("query", "accepted", "", "08AA-4", ""),
        ("callback", "failed", "FAIL", "", NOTICE),
    ]


def test_a_spec_that_failed_keeps_the_id_of_the_answer_that_accepted_it(ledger, redis_url):
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "accept", tries=1, request_id="08AB-0"), by="submit")
    moved(redis_url, chunk, Move(0, "fail", code="FAIL", heard_by=NOTICE), by="callback")
    assert events_of(ledger)[0] == ("submit", "accepted", "", "08AB-0", "")
    assert ledger.spec(cut_out_body(1)["task_id"]).line.request_id == ""


def test_what_was_not_sent_is_not_told_as_an_answer(ledger, redis_url):
    moved(redis_url, stored(redis_url), Move(0, "reject", code="OTHER_BRAND"), by="submit")
    assert events_of(ledger) == [("fleet", "rejected", "OTHER_BRAND", "", "")]


def test_what_people_do_is_told(ledger, redis_url):
    chunk = stored(redis_url)
    with Client(producer_settings(redis_url)) as producer:
        for act in ("pause", "resume"):
            producer.act_on(producer.choose(act, Selection.of(run="may")))
        producer.cancel("may")
        producer.redrive("may", outcome="cancelled")
        moved(redis_url, chunk, Move(0, "reject", tries=1, code="NO", request_id="08AA-1"), by="submit")
        producer.act_on(producer.choose("redrive", Selection.of(run="may")))
        assert producer.spec(cut_out_body(1)["task_id"]).state is State.WAITING
    assert events_of(ledger) == [
        ("person", "paused", "", "", ""),
        ("person", "waiting", "", "", ""),
        ("person", "cancelled", "", "", ""),
        ("person", "redriven", "", "", ""),
        ("submit", "rejected", "NO", "08AA-1", ""),
        ("person", "redriven", "", "", ""),
    ]


def test_a_move_that_was_not_made_is_not_told(ledger, redis_url):
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "accept", tries=1, request_id="08AB-0"), by="submit")
    assert moved(redis_url, chunk, Move(0, "accept", tries=1, request_id="08AC-0"), by="submit") == [False]
    assert moved(redis_url, chunk, Move(0, "accept"), by="callback") == [False]
    assert len(events_of(ledger)) == 1


def test_a_history_is_bounded_and_older_events_are_counted(ledger, redis_url, client):
    chunk = stored(redis_url, 2)
    moved(redis_url, chunk, Move(0, "look", tries=1), Move(1, "accept", tries=1, request_id="08AB-0"), by="submit")
    for _ in range(40):
        moved(redis_url, chunk, *[Move(0, "asked", code="PROCESSING")] * 10, by="query")
    found = ledger.spec(cut_out_body(1)["task_id"])
    assert (len(found.events), found.older_events) == (21, 401 - 20)
    assert events_of(ledger, 2) == [("submit", "accepted", "", "08AB-0", "")]
    assert client.llen(KEYS.history(chunk)) <= 21 * 2 + 110


def test_a_history_is_forgotten_with_its_run(redis_url, client):
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "reject", tries=1), by="submit")
    assert client.exists(KEYS.history(chunk))
    on_ledger(redis_url, lambda ledger: ledger.forget_finished(0))
    assert not client.exists(KEYS.history(chunk))
