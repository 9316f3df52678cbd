"""The log lines of what happens to a process as a whole."""

import pytest

from couponpress_worker.events import BreakerClosed, BreakerOpened, Events, Held, RedisAway, RedisBack, Released, Sent
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.event_log import log_events

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


def test_single_requests_have_none(caplog):
    caplog.set_level("DEBUG")
    events = Events(Failures())
    log_events(events)
    events.tell(Sent("submit", 1))
    assert caplog.records == []
