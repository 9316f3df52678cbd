"""What a query's answer means for the spec that was asked about."""

import pytest

from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress_worker.completion.moves import (
    EXPIRED_CODE,
    FAIL_CODE,
    FAIL_MESSAGE,
    GAVE_UP_CODE,
    move_after_look,
    move_when_absent,
    move_when_overdue,
)
from couponpress_worker.wechatpay.judgement import (
    Completed,
    Hold,
    NotFound,
    Processing,
    Rejected,
    Retry,
    Throttled,
)
from couponpress_worker.wechatpay.retry import MAX_TRIES, RETRY_DELAYS_SECONDS
from tests.builders import PICTURE


@pytest.mark.parametrize(
    ("judgement", "move"),
    [
        (Completed(State.SUCCEEDED, PICTURE), Move(3, "succeed", image_url=PICTURE)),
        (Completed(State.FAILED), Move(3, "fail", code=FAIL_CODE, message=FAIL_MESSAGE)),
        (Processing(), Move(3, "accept")),
        (NotFound(), None),
        (Rejected("PARAM_ERROR", "wrong"), None),
        (Throttled(1.0), None),
        (Retry("NO_ANSWER", "timeout"), None),
        (Hold("partner", "SIGN_ERROR", "wrong", "mend it"), None),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_looks_answer_leads_to_one_move_or_none_however_late(judgement, move):
    assert [move_after_look(judgement, 3, ago, 1000.0) for ago in (0.0, 1e9)] == [move, move]


@pytest.mark.parametrize(("ago", "move"), [(1000.0, None), (1000.1, ("expire", EXPIRED_CODE))])
def test_a_brand_s_refusal_keeps_no_look_open_beyond_the_deadline(ago, move):
    refusal = Hold("brand", "NO_AUTH", "not authorised", "mend it")
    found = move_after_look(refusal, 3, ago, 1000.0)
    assert (found and (found.name, found.code)) == move
    assert found is None or "NO_AUTH not authorised" in found.message


@pytest.mark.parametrize("code", ["ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS"])
@pytest.mark.parametrize("tries", [1, MAX_TRIES])
def test_a_task_id_that_exists_elsewhere_is_rejected_whatever_the_tries(code, tries):
    assert move_when_absent(3, tries, code, "exists", "08F1-0") == Move(
        3, "reject", code=code, message="exists", request_id="08F1-0"
    )


@pytest.mark.parametrize("tries", range(1, MAX_TRIES))
def test_an_unknown_task_with_tries_left_goes_again_after_the_retry_delay(tries):
    move = move_when_absent(3, tries, "NO_ANSWER", "timeout")
    delay_ms = round(RETRY_DELAYS_SECONDS[tries - 1] * 1000)
    assert move == Move(3, "absent", delay_ms=delay_ms, code="NO_ANSWER", message="timeout")


def test_going_again_spends_no_try():
    assert move_when_absent(3, 1, "NO_ANSWER", "timeout").tries == 0


@pytest.mark.parametrize(("more", "delay_ms"), [(0, 1000), (1, 30_000), (2, 60_000)])
def test_whose_tries_are_used_up_gets_a_last_few_for_the_platform_answers_again(more, delay_ms):
    move = move_when_absent(3, MAX_TRIES + more, "HTTP_502", "bad gateway")
    assert move == Move(3, "absent", delay_ms=delay_ms, code="HTTP_502", message="bad gateway")


@pytest.mark.parametrize("tries", [MAX_TRIES + 3, 78])
def test_an_unknown_task_without_tries_left_is_rejected_with_what_the_last_try_said(tries):
    move = move_when_absent(3, tries, "HTTP_502", "bad gateway")
    assert (move.name, move.code) == ("reject", GAVE_UP_CODE)
    assert move.message == f"{tries} tries, the last one: HTTP_502 bad gateway"


def test_a_task_without_any_history_goes_again():
    assert move_when_absent(3, 0, "", "").name == "absent"


# --- an accepted spec that was asked about ----------------------------------------------------------------------------

EXPIRY, SPAN = 1000.0, 100.0
YOUNG, OLD, OLDER = EXPIRY, EXPIRY + 1, EXPIRY + SPAN + 1


def overdue(judgement, ago, tries=1):
    move = move_when_overdue(judgement, 3, tries, ago, EXPIRY, SPAN)
    return move and (move.name, move.code)


@pytest.mark.parametrize("ago", [YOUNG, OLD, OLDER])
def test_an_ending_counts_whenever_it_comes(ago):
    assert move_when_overdue(Completed(State.SUCCEEDED, PICTURE), 3, 1, ago, EXPIRY, SPAN) == Move(
        3, "succeed", image_url=PICTURE
    )
    assert overdue(Completed(State.FAILED), ago) == ("fail", FAIL_CODE)


@pytest.mark.parametrize(
    ("judgement", "young", "old", "older"),
    [
        (Processing(), None, True, True),
        (Rejected("NO_AUTH", "wrong"), None, True, True),
        (Retry("HTTP_502", "bad gateway"), None, None, True),
        (Throttled(1.0), None, None, None),
        (Hold("partner", "SIGN_ERROR", "wrong", "mend it"), None, None, None),
        (Hold("brand", "NO_AUTH", "not authorised", "mend it"), None, True, True),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_has_no_end_by_the_deadline_expires(judgement, young, old, older):
    told = [overdue(judgement, ago) for ago in (YOUNG, OLD, OLDER)]
    assert told == [("expire", EXPIRED_CODE) if wanted else None for wanted in (young, old, older)]


@pytest.mark.parametrize("ago", [YOUNG, OLDER])
def test_what_was_accepted_and_is_not_known_goes_again_until_its_tries_are_spent(ago):
    assert overdue(NotFound(), ago, MAX_TRIES - 1) == ("absent", "NOT_FOUND")
    assert overdue(NotFound(), ago, MAX_TRIES) == ("expire", EXPIRED_CODE)
