"""The plan of a night: its sentence, whether it is in time, and what is done about it."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.ledger.rate import RateInForce
from couponpress.nightly.plan import Counts, Plan, decide

ZONE = ZoneInfo("Asia/Shanghai")
NIGHT = Counts(rows=312_000, changed=41_200, unchanged=270_800)
PLAN = Plan(NIGHT, before=0, rate=493.0, now=datetime(2026, 5, 2, 2, 0, 16, tzinfo=ZONE))


def wall(hour, minute=0, day=2):
    return datetime(2026, 5, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (PLAN, "312,000 rows, 41,200 changed, 84 s at 493/s, done by 02:01:40"),
        (
            replace(PLAN, before=4930),
            "312,000 rows, 41,200 changed, 4,930 waiting before them, 94 s at 493/s, done by 02:01:50",
        ),
        (
            replace(PLAN, counts=Counts(9, 4, 2, 3, 1), rate=1.0),
            "9 rows, 4 changed, 3 under way in an earlier run, 1 broken, 4 s at 1/s, done by 02:00:20",
        ),
        (replace(PLAN, counts=Counts(9, 0, 9)), "9 rows, 0 changed, nothing to send"),
        (replace(PLAN, rate=None), "312,000 rows, 41,200 changed, at a rate that no worker has told yet"),
        (
            replace(PLAN, rate=1.0, deadline=wall(6)),
            "312,000 rows, 41,200 changed, 11 h 26 min at 1/s, done by 13:26:56, too late for its deadline 06:00:00",
        ),
        (
            replace(PLAN, rate=0.5),
            "312,000 rows, 41,200 changed, 22 h 53 min at 0.5/s, done by 2026-05-03 00:53:36",
        ),
    ],
)
def test_sentences(plan, sentence):
    assert plan.sentence == sentence


@pytest.mark.parametrize(
    ("changes", "late"),
    [
        ({}, False),
        ({"deadline": wall(6)}, False),
        ({"deadline": wall(2, 1)}, True),
        ({"deadline": wall(2, 1), "rate": None}, False),
        ({"deadline": wall(1), "counts": Counts(9, 0, 9)}, False),
        ({"deadline": wall(6), "before": 493 * 4 * 3600}, True),
    ],
)
def test_whether_it_is_late(changes, late):
    assert replace(PLAN, **changes).late is late


LATE = replace(PLAN, deadline=wall(2, 1))


@pytest.mark.parametrize(
    ("plan", "earlier", "on_overlap", "on_late", "send", "replaces"),
    [
        (PLAN, [], "skip", "skip", True, False),
        (PLAN, ["y"], "queue", "skip", True, False),
        (PLAN, ["y"], "skip", "queue", False, False),
        (PLAN, ["y"], "replace", "queue", True, True),
        (LATE, [], "skip", "queue", True, False),
        (LATE, [], "queue", "skip", False, False),
        (LATE, ["y"], "queue", "replace", True, True),
        (LATE, ["y"], "replace", "skip", False, False),
        (replace(LATE, counts=Counts(9, 0, 9)), ["y"], "replace", "skip", True, False),
    ],
)
def test_what_is_done(plan, earlier, on_overlap, on_late, send, replaces):
    decision = decide(plan, earlier, on_overlap=on_overlap, on_late=on_late)
    assert (decision.send, decision.replace) == (send, replaces)
    assert decision.sentence.startswith(plan.sentence)
    assert ("is not finished yet" in decision.sentence) == bool(earlier and plan.counts.changed)


@given(changed=st.integers(1, 10**7), before=st.integers(0, 10**7), rate=st.floats(0.1, 1000))
def test_it_takes_as_long_as_everything_before_it_and_itself(changed, before, rate):
    plan = replace(PLAN, counts=Counts(changed, changed), before=before, rate=rate)
    assert plan.forecast.done_by.timestamp() - plan.now.timestamp() == pytest.approx((changed + before) / rate, abs=1)


def told(**changes):
    quiet = RateInForce("500/second", "", 0.0, None, 0.0, 0.0, 0.0, None)
    return replace(quiet, **changes)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (told(configured=""), None),
        (told(), 500.0),
        (told(slots_per_second=489.9), 489.9),
        (told(found=10, slots_per_second=9.8), 9.8),
        # Slots of a rate that was in force before.
        (told(found=10, slots_per_second=489.9), 10.0),
        (told(slots_per_second=9.8), 500.0),
        (told(by_hand="600/minute"), 10.0),
    ],
)
def test_the_effective_rate(rate, expected):
    assert rate.effective_per_second == expected
