"""Events: who hears them, what an answer tells, and what a listener's error costs."""

import pytest

from couponpress_worker.events import Answered, Events, LoopFailed, Released, Sent
from couponpress_worker.periodic import Failures
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer, judge


def test_an_event_is_heard_by_everybody_who_listens_to_its_kind_in_their_order():
    events, heard = Events(Failures()), []
    events.listen(Sent, lambda event: heard.append(("first", event)))
    events.listen(Sent, lambda event: heard.append(("second", event)))
    events.listen(Released, heard.append)
    events.tell(Sent("submit", 1))
    assert heard == [("first", Sent("submit", 1)), ("second", Sent("submit", 1))]


def test_an_event_that_nobody_listens_to_is_no_trouble():
    Events(Failures()).tell(Sent("submit", 1))


def test_a_listeners_error_is_counted_and_logged_and_the_others_hear(caplog):
    failures, heard = Failures(), []
    events = Events(failures)

    def fails(event):
        raise ValueError(event)

    events.listen(Sent, fails)
    events.listen(Sent, heard.append)
    events.listen(LoopFailed, heard.append)
    events.tell(Sent("submit", 1))
    assert failures.counts == {"listener": 1}
    assert [type(event) for event in heard] == [LoopFailed, Sent]
    assert [record.getMessage() for record in caplog.records] == ["listener failed and goes on (failure 1)"]


def test_a_failure_of_a_loop_is_told_with_its_count_each_time():
    failures, heard = Failures(), []
    Events(failures).listen(LoopFailed, heard.append)
    error = ValueError("unforeseen")
    for _ in range(3):
        failures.note("recovery", error)
    assert heard == [LoopFailed("recovery", error, count) for count in (1, 2, 3)]


def test_a_listener_of_failures_that_fails_is_logged_and_not_told_again(caplog):
    failures = Failures()

    def fails(event):
        raise ValueError(event)

    Events(failures).listen(LoopFailed, fails)
    failures.note("recovery", KeyError("unforeseen"))
    assert failures.counts == {"recovery": 1}
    assert "a listener of failures failed" in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("answer", "status", "code", "error", "request_id"),
    [
        (Answer(200, content={"task_id": "t"}, request_id="A-0"), 200, "", "", "A-0"),
        (Answer(429, code="RATELIMIT_EXCEEDED", request_id="B-1"), 429, "RATELIMIT_EXCEEDED", "", "B-1"),
        (NoAnswer("open", "reset"), 0, "", "open", ""),
        (NoAnswer("not_sent", "refused"), 0, "", "not_sent", ""),
    ],
)
def test_an_answer_tells_what_a_metric_needs(answer, status, code, error, request_id):
    told = Answered("submit", answer, judge(answer), 0.1)
    assert (told.status, told.code, told.error, told.request_id) == (status, code, error, request_id)
