"""The log lines of what happens to a process as a whole."""

import pytest

from couponpress_worker.events import (
    Answered,
    BreakerClosed,
    BreakerOpened,
    Events,
    Held,
    RedisAway,
    RedisBack,
    Released,
    Sent,
)
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.event_log import log_events
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer

DOWN = "the platform seems to be down (HTTP_503: no service): only probes are sent until it answers"


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (RedisAway("gone"), "WARNING", "Redis is away (gone): nothing is sent until it is back, and nothing is lost."),
        (RedisBack(1.26), "INFO", "Redis is back after 1.3 s: sending goes on."),
        (Held("run:b1", "run may", "no", "Do.", ours=True), "ERROR", "submitting is held: run may: no. Cure: Do."),
        (Held("partner", "partner", "no", "Do.", ours=False), "WARNING", "submitting is held: partner: no. Cure: Do."),
        (Released("run:b1", "run may"), "INFO", "submitting goes on: run may"),
        (BreakerOpened("HTTP_503", "no service"), "WARNING", DOWN),
        (BreakerClosed(62.5), "INFO", "the platform answers again after 62.5 s: sending goes on"),
    ],
)
def test_each_has_one_line(caplog, event, level, line):
    caplog.set_level("INFO")
    events = Events(Failures())
    log_events(events)
    events.tell(event)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [(level, line)]


def answered(answer, kind="submit"):
    return Answered(kind, answer, None, 0.1)


def lines_of(caplog, *told):
    caplog.set_level("INFO")
    events = Events(Failures())
    log_events(events)
    for event in told:
        events.tell(event)
    return [record.getMessage() for record in caplog.records]


def test_of_requests_that_were_refused_one_of_each_kind_has_a_line(caplog):
    broken = Answer(500, "SYSTEM_ERROR", "try\nlater", request_id="08A-0")
    silent = NoAnswer("open", "the connection was reset")
    assert lines_of(caplog, *map(answered, [broken, broken, silent, Answer(500, "OTHER"), Answer(403, "NO_AUTH")])) == [
        "submit answered with 500 SYSTEM_ERROR: try later (Request-ID 08A-0)",
        "submit without an answer: the connection was reset",
        "submit answered with 403 NO_AUTH:  (Request-ID none)",
    ]


def test_good_answers_and_those_that_others_tell_of_have_none(caplog):
    told = [answered(Answer(200)), answered(Answer(500), "query"), answered(Answer(404), "upload")]
    assert lines_of(caplog, *told) == []


def test_a_message_has_a_bound(caplog):
    (line,) = lines_of(caplog, answered(Answer(400, "PARAM_ERROR", "x" * 5000)))
    assert len(line) < 300


def test_single_requests_have_none(caplog):
    caplog.set_level("DEBUG")
    events = Events(Failures())
    log_events(events)
    events.tell(Sent("submit", 1))
    assert caplog.records == []
