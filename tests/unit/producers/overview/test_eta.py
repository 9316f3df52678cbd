"""When a run is sent: a range with its reason."""

import pytest

from couponpress.overview.bound import Bound
from couponpress.overview.eta import eta_of
from tests.builders import run_status

LIMIT = Bound("limit", "configured", "at the limit")
SLOW = Bound("workers", "too few workers", "slow")


def eta(status, *, others=0, bound=LIMIT, effective=500.0, sent=490.0):
    return eta_of(status, others=others, bound=bound, effective_per_second=effective, sent_per_second=sent)


def test_a_run_alone_takes_its_specs_at_the_rate():
    told = eta(run_status(waiting=4000, retrying=900, looking=100, accepted=7))
    assert told.case == "alone"
    assert told.soonest_seconds == 10
    assert 10 < told.latest_seconds <= 12


def test_a_run_among_others_may_wait_for_all_of_them():
    told = eta(run_status(waiting=5000), others=45_000)
    assert told.case == "shared"
    assert told.soonest_seconds == 10
    assert 100 < told.latest_seconds <= 120
    assert "45,000 of other runs" in told.reason


def test_a_fleet_that_is_slower_than_its_limit_is_told_by_its_speed():
    told = eta(run_status(waiting=5000), bound=SLOW, sent=50.0)
    assert told.soonest_seconds == 10
    assert 100 < told.latest_seconds <= 120


def test_a_fleet_that_just_began_is_told_by_its_limit():
    assert eta(run_status(waiting=5000), bound=SLOW, sent=0.0).latest_seconds <= 12


@pytest.mark.parametrize(
    ("status", "changes", "case"),
    [
        (run_status(waiting=5, hold="paused by hand"), {}, "held"),
        (run_status(uploading=5), {}, "uploading"),
        (run_status(waiting=5), {"bound": Bound("paused", "partner held", "why")}, "bound"),
        (run_status(waiting=5), {"bound": Bound("platform", "down", "why")}, "bound"),
        (run_status(waiting=5), {"bound": Bound("workers", "no worker", "why")}, "bound"),
        (run_status(waiting=5), {"effective": None}, "no rate"),
    ],
)
def test_what_cannot_be_told_says_why(status, changes, case):
    told = eta(status, **changes)
    assert (told.soonest_seconds, told.latest_seconds, told.case) == (None, None, case)
    assert told.reason


@pytest.mark.parametrize("status", [run_status(), run_status(accepted=5, succeeded=3)])
def test_a_run_that_is_sent_has_none(status):
    assert eta(status) is None
