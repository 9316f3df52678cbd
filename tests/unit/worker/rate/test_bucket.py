"""The arithmetic of the bucket, judged by counting: no window may ever hold more than the limit."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerSecond, parse

from couponpress_worker.rate.bucket import HORIZON_US, URGENT_HORIZON_US, Bucket, Grant

SECOND_US = 1_000_000


@dataclass
class Model:
    """What bucket.lua does, in Python: the tests of the real script compare it with this, step by step.

    A bucket is (key, spacing, back, unknown); `state` is key -> (tat, server).
    """

    server: str = "first"
    state: dict[str, tuple[int, str]] = field(default_factory=dict)

    def step(self, act, wanted, least, horizon, buckets, now):
        first = widest = 0
        for key, spacing, back, unknown in buckets:
            tat, server = self.state.get(key, (None, ""))
            if tat is None or server != self.server or tat > now + unknown:
                tat = now + unknown
                self.state[key] = (tat, self.server)
            if act == "clear":
                tat = now - back
                self.state[key] = (tat, self.server)
            first = max(first, tat, now - back)
            widest = max(widest, spacing)
        count = min(wanted, (now + horizon - first) // widest + 1)
        if count < least:
            return [0, now, first - now, widest]
        if act == "take":
            last = first + (count - 1) * widest
            for key, spacing, _, _ in buckets:
                self.state[key] = (last + spacing, self.server)
        return [count, now, first - now, widest]


def as_model(bucket: Bucket) -> tuple[str, int, int, int]:
    return (bucket.key, bucket.spacing_us, bucket.back_us, bucket.unknown_us)


def most_in_a_window(arrivals: list[tuple[int, int]], window_us: int) -> int:
    """Count by brute force the most arrivals that any closed window can hold, each free within (earliest, latest)."""
    starts = [latest for _, latest in arrivals]
    return max((sum(e <= start + window_us and late >= start for e, late in arrivals) for start in starts), default=0)


@pytest.mark.parametrize(
    ("limit", "lateness_seconds", "burst", "spacing_us"),
    [
        ("500/second", 0.02, 1, 2041),
        ("500/second", 0.02, 2, 2045),
        ("500/second", 0.0, 1, 2001),
        ("20/second", 0.02, 1, 51_001),
        ("10/second", 0.02, 1, 102_001),
        ("1/second", 0.02, 1, 1_020_001),
        ("2 per 5 seconds", 0.02, 1, 2_510_001),
        ("600/minute", 0.02, 1, 100_034),
        ("3/second", 0.02, 3, 1_020_001),
    ],
)
def test_spacing(limit, lateness_seconds, burst, spacing_us):
    assert Bucket("k", parse(limit), lateness_seconds, burst).spacing_us == spacing_us


def test_the_fleet_gives_away_little():
    for limit in (10, 20, 200, 500):
        rate = SECOND_US / Bucket("k", RateLimitItemPerSecond(limit), 0.02).spacing_us
        assert 0.979 * limit < rate < limit / 1.02


@pytest.mark.parametrize(("lateness_seconds", "burst"), [(-0.01, 1), (0.02, 0), (0.02, 11)])
def test_a_bucket_that_cannot_be_is_refused(lateness_seconds, burst):
    with pytest.raises(ValueError, match=r"burst|lateness"):
        Bucket("k", parse("10/second"), lateness_seconds, burst)


def test_offsets_lie_the_spacing_apart():
    assert list(Grant(1_700_000_000_000_000, -500, 2041, 3).offsets_us()) == [-500, 1541, 3582]


@settings(deadline=None)
@given(amount=st.integers(1, 40), seconds=st.integers(1, 5), late_us=st.integers(0, 300_000), data=st.data())
def test_the_spacing_is_enough_and_no_microsecond_too_wide(amount, seconds, late_us, data):
    burst = data.draw(st.integers(1, amount))
    bucket = Bucket("k", RateLimitItemPerSecond(amount, seconds), late_us / SECOND_US, burst)

    def worst(spacing_us: int) -> int:
        back_us = (burst - 1) * spacing_us
        arrivals = [(i * spacing_us, i * spacing_us + back_us + late_us) for i in range(amount + 2)]
        return most_in_a_window(arrivals, seconds * SECOND_US)

    assert worst(bucket.spacing_us) <= amount
    assert worst(bucket.spacing_us - 1) > amount


STEPS = st.lists(
    st.tuples(
        # Mostly asking; now and then the state is lost, or another server answers.
        st.sampled_from(["bulk"] * 5 + ["urgent"] * 3 + ["hit"] * 5 + ["flush", "restart"]),
        st.integers(1, 8),  # slots wanted
        # µs since the step before; None is the very moment at which the next slot comes within reach.
        st.one_of(st.none(), st.none(), st.integers(0, 200_000), st.integers(0, 3_000_000)),
    ),
    min_size=20,
    max_size=50,
)


@settings(deadline=None)
@given(
    limits=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 5)), min_size=1, max_size=3),
    late_us=st.integers(0, 300_000),
    steps=STEPS,
)
def test_no_window_can_hold_more_than_any_of_the_limits(limits, late_us, steps):
    buckets = [
        Bucket(f"bucket{i}", RateLimitItemPerSecond(amount), late_us / SECOND_US, min(burst, amount))
        for i, (amount, burst) in enumerate(limits)
    ]
    known = [as_model(bucket) for bucket in buckets]
    model, now, moments, arrivals = Model(), 1_700_000_000_000_000, [], []
    model.step("clear", 1, 1, 0, known, now)
    for kind, wanted, elapsed_us in steps:
        horizon = {"bulk": HORIZON_US, "urgent": URGENT_HORIZON_US}.get(kind, 0)
        until_next = max(0, model.step("look", 1, 1, horizon, known, now)[2] - horizon)
        now += until_next if elapsed_us is None else elapsed_us
        if kind == "flush":
            model.state.clear()
        elif kind == "restart":
            model.server += "+"
        else:
            least = min(wanted, buckets[0].burst) if kind == "hit" else 1
            most = least if kind == "hit" else wanted
            count, _, first, spacing = model.step("take", most, least, horizon, known, now)
            for moment in (now + first + i * spacing for i in range(count)):
                moments.append(moment)
                arrivals.append((max(now, moment), max(now, moment) + late_us))
    assert all(earlier < later for earlier, later in pairwise(moments))
    assert most_in_a_window(arrivals, SECOND_US) <= min(bucket.item.amount for bucket in buckets)


@settings(deadline=None)
@given(amount=st.integers(1, 12), late_us=st.integers(0, 300_000), back_us=st.integers(0, 10**9))
def test_a_clock_that_was_set_back_delays_but_never_forgets(amount, late_us, back_us):
    bucket = Bucket("k", RateLimitItemPerSecond(amount), late_us / SECOND_US)
    model, now = Model(state={"k": (0, "first")}), 1_700_000_000_000_000
    count, _, first, spacing = model.step("take", 20, 1, HORIZON_US, [as_model(bucket)], now)
    before = [first + i * spacing for i in range(count)]
    _, _, next_first, _ = model.step("look", 1, 1, HORIZON_US, [as_model(bucket)], now - back_us)
    assert next_first - before[-1] >= bucket.spacing_us
    assert next_first <= bucket.unknown_us
