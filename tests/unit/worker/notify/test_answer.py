"""When a message is sent again, and what an answer that is no robot's means."""

import pytest

from couponpress_worker.notify.answer import Answer, Codes, robot_body

CODES = Codes(too_fast={45009: 60.0}, passing=frozenset({-1}), cures={93000: "copy it again"})


def test_delays_double_up_to_their_longest():
    delays = [Answer("later", "").delay_seconds(tries) for tries in range(10)]
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert Answer("refused", "").delay_seconds(0) == 600
    assert Answer("later", "", wait_seconds=60.0).delay_seconds(5) == 60


@pytest.mark.parametrize(
    ("status", "body", "verdict", "wait"),
    [(429, b"", "later", 60.0), (502, b"<html>", "later", None), (302, b"", "later", None), (404, b"", "later", None)],
)
def test_a_status_is_not_the_robot_s(status, body, verdict, wait):
    answer = robot_body(status, body)
    assert (answer.verdict, answer.wait_seconds) == (verdict, wait)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b'{"errcode": "0"}', b"{}"])
def test_a_body_that_is_none_of_a_robot_is_no_success(body):
    told = robot_body(200, body)
    answer = CODES.answer(told.get("errcode"), "")
    assert (answer.verdict, bool(answer.cure)) == ("later", True)


def test_codes():
    assert CODES.answer(0, "ok").verdict == "taken"
    assert CODES.answer(-1, "busy").verdict == "later"
    assert CODES.answer(45009, "").wait_seconds == 60
    assert (CODES.answer(93000, "").verdict, CODES.answer(93000, "").cure) == ("refused", "copy it again")
    assert CODES.answer(77777, "").cure.startswith("look the code up")
    assert CODES.answer(93000, "", "another cure").cure == "another cure"
