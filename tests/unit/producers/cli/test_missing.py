"""What a person is told when nobody does what a run waits for."""

import pytest

from couponpress.cli.missing import missing
from couponpress.ledger.outage import PlatformDown
from couponpress.ledger.presence import Present
from tests.builders import run_status

WORKER, RECEIVER = Present("worker", "one", 1), Present("callback", "one", 2)
SCHEDULER = Present("scheduler", "one", 3)
URL = "redis://127.0.0.1:6379/0"


def told(present, outage=None, **counts):
    return missing([run_status(**counts)], present, outage, URL)


@pytest.mark.parametrize("waiting", ["waiting", "retrying", "looking"])
def test_what_waits_needs_a_worker(waiting):
    assert told([WORKER], **{waiting: 1}) == []
    (one,) = told([SCHEDULER, RECEIVER], **{waiting: 1})
    assert "no worker runs" in one
    assert "`couponpress worker`" in one


def test_nobody_at_all_may_be_another_database():
    _, other = told([], waiting=1)
    assert f"nobody is heard on {URL}" in other
    assert "COUPONPRESS_REDIS_URL" in other


def test_what_was_accepted_needs_a_callback_receiver():
    assert told([WORKER, RECEIVER], accepted=1) == []
    (one,) = told([WORKER], accepted=1)
    assert "`couponpress callback`" in one


def test_a_run_that_waits_for_nothing_needs_nobody():
    assert told([], succeeded=3) == []
    assert missing([], [], None, URL) == []


def test_an_outage_of_the_platform_is_told():
    (one,) = told([WORKER, RECEIVER], PlatformDown(0.0, "503 after 10 s"), waiting=1)
    assert "503 after 10 s" in one
