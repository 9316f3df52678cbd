"""Two clocks and what answers tell of their difference: the interval always holds the truth, and narrows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.rate.server_clock import DRIFT, RedisClock

START_US = 1_700_000_000_000_000


class World:
    """A process's clock that starts anywhere, and a Redis clock that runs a little faster or slower."""

    def __init__(self, own_at_start, drift=0.0):
        self.own_at_start, self.drift, self.passed = own_at_start, drift, 0.0
        self.stepped_us = 0

    @property
    def own(self):
        return self.own_at_start + self.passed

    @property
    def redis_us(self):
        return START_US + self.stepped_us + int(self.passed * (1 + self.drift) * 1_000_000)

    def exchange(self, clock, there, back):
        sent = self.own
        self.passed += there
        at_us = self.redis_us
        self.passed += back
        clock.hear(at_us, sent=sent, received=self.own)

    def bounds(self, clock):
        """Return how far the moment that is now on Redis's clock lies from now, by the clock's two answers."""
        now_us = self.redis_us
        return clock.surely_not_past(now_us) - self.own, clock.surely_past(now_us) - self.own


def test_one_answer_tells_the_difference_to_within_its_round_trip():
    clock, world = RedisClock(), World(77.0)
    world.exchange(clock, there=0.003, back=0.005)
    assert world.bounds(clock) == pytest.approx((-0.003, 0.005), abs=1e-5)


def test_a_quick_answer_makes_a_slow_one_after_it_exact():
    clock, world = RedisClock(), World(0.0)
    world.exchange(clock, there=0.0002, back=0.0002)
    world.passed += 0.04
    world.exchange(clock, there=0.001, back=0.030)
    drifted = DRIFT * (0.04 + 0.031)
    assert world.bounds(clock) == pytest.approx((-0.0002 - drifted, 0.0002 + drifted), abs=1e-5)


def test_what_was_told_long_ago_fades():
    clock, world = RedisClock(), World(0.0)
    world.exchange(clock, there=0.0, back=0.0)
    world.passed += 60.0
    world.exchange(clock, there=0.002, back=0.002)
    assert world.bounds(clock) == pytest.approx((-0.002, 0.002), abs=1e-5)


@pytest.mark.parametrize("step_us", [-3_000_000, 3_000_000])
def test_after_a_clock_was_set_the_newest_answer_alone_counts(step_us):
    clock, world = RedisClock(), World(5.0)
    world.exchange(clock, there=0.0001, back=0.0001)
    world.stepped_us = step_us
    world.exchange(clock, there=0.002, back=0.003)
    assert world.bounds(clock) == pytest.approx((-0.002, 0.003), abs=1e-5)


@given(
    own=st.floats(-1e6, 1e6),
    drift=st.floats(-DRIFT * 0.9, DRIFT * 0.9),
    exchanges=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.05), st.floats(0, 0.05)), min_size=1, max_size=20),
)
def test_the_truth_always_lies_between_and_never_wider_than_the_last_round_trip(own, drift, exchanges):
    clock, world = RedisClock(), World(own, drift)
    for pause, there, back in exchanges:
        world.passed += pause
        world.exchange(clock, there, back)
        least, most = world.bounds(clock)
        assert least <= 3e-6
        assert most >= -3e-6
        assert most - least <= (there + back) * (1 + 2 * DRIFT) + 4e-6
