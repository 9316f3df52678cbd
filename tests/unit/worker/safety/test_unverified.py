"""When answers that do not verify mean a wrong setting: several in a row, before any that did."""

import pytest

from couponpress_worker.safety.unverified import UNVERIFIED_IN_A_ROW, UnverifiedAnswers
from couponpress_worker.wechatpay.judgement import Accepted, Answer, NoAnswer, Rejected, judge
from couponpress_worker.wechatpay.signing import HEADERS_MISSING, Verifier

WRONG_KEY = judge(Answer(200, objection="the signature does not hold"))


def heard(*judgements):
    answers = UnverifiedAnswers()
    return [answers.answered(one) for one in judgements]


@pytest.mark.parametrize(
    ("objection", "cure"),
    [
        ("the signature does not hold", "COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE"),
        ("signed with a key that is not known here", "COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID"),
        (HEADERS_MISSING, "drops Wechatpay-* headers"),
    ],
)
def test_several_in_a_row_hold_the_partner_with_a_cure(objection, cure):
    *before, last = heard(*[judge(Answer(200, objection=objection))] * UNVERIFIED_IN_A_ROW)
    assert before == [None] * (UNVERIFIED_IN_A_ROW - 1)
    assert (last.scope, last.code) == ("partner", "UNTRUSTED_ANSWER")
    assert objection in last.message
    assert cure in last.cure
    assert "couponpress resume" in last.cure


def test_one_answer_that_verifies_ends_the_watch():
    assert not any(heard(*[WRONG_KEY] * (UNVERIFIED_IN_A_ROW - 1), Accepted(), *[WRONG_KEY] * 50))


def test_answers_without_a_signature_do_not_count():
    others = [judge(NoAnswer("open", "reset")), judge(Answer(502)), Rejected("PARAM_ERROR", "x")]
    assert not any(heard(*[WRONG_KEY] * (UNVERIFIED_IN_A_ROW - 1), *others * 50))


def test_after_a_hold_it_is_counted_again():
    holds = heard(*[WRONG_KEY] * (2 * UNVERIFIED_IN_A_ROW))
    assert [number for number, one in enumerate(holds, 1) if one] == [UNVERIFIED_IN_A_ROW, 2 * UNVERIFIED_IN_A_ROW]


def test_the_objection_to_missing_headers_is_the_verifiers():
    assert Verifier({}).objection({}, b"", now=0.0) == HEADERS_MISSING
