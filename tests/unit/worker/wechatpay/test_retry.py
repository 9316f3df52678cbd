"""The retry schedule, its jitter, and how far a Retry-After is followed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.wechatpay.retry import (
    LAST_DELAYS_SECONDS,
    LONGEST_RETRY_AFTER_SECONDS,
    LONGEST_THROTTLE_PAUSE_SECONDS,
    MAX_TRIES,
    delay_after_unknown_seconds,
    retry_delay_seconds,
    throttle_pause_seconds,
)


@pytest.mark.parametrize(
    ("tries", "delay"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 60), (8, None), (9, None), (50, None)]
)
def test_the_retry_schedule(tries, delay):
    if delay is None:
        assert retry_delay_seconds(tries, 0.5) is None
    else:
        assert retry_delay_seconds(tries, 0.5) == pytest.approx(delay)
        assert retry_delay_seconds(tries, 0.0) == pytest.approx(0.8 * delay)
        assert retry_delay_seconds(tries, 0.999999) == pytest.approx(1.2 * delay, rel=1e-5)


@given(st.integers(1, MAX_TRIES - 1), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_a_fifth_of_its_place(tries, jitter):
    delay, middle = retry_delay_seconds(tries, jitter), retry_delay_seconds(tries, 0.5)
    assert 0.8 * middle - 1e-9 <= delay <= 1.2 * middle + 1e-9


@given(st.integers(1, MAX_TRIES - 1), st.floats(0, 1, exclude_max=True), st.floats(0, 1e9))
def test_a_retry_after_lengthens_a_delay_within_bounds_and_never_shortens_it(tries, jitter, asked):
    told = retry_delay_seconds(tries, jitter, asked)
    plain = retry_delay_seconds(tries, jitter)
    assert told >= min(plain, asked or plain)
    assert told >= min(asked, LONGEST_RETRY_AFTER_SECONDS) or told == plain
    assert told <= max(plain, LONGEST_RETRY_AFTER_SECONDS * 1.4)


@pytest.mark.parametrize(
    ("asked", "jitter", "delay"), [(20.0, 0.0, 20.0), (20.0, 0.5, 24.0), (0.5, 0.5, 1.0), (1e9, 0.0, 300.0)]
)
def test_a_503_that_asks_to_wait_is_not_retried_before(asked, jitter, delay):
    assert retry_delay_seconds(1, jitter, asked) == pytest.approx(delay)


def test_a_retry_after_gives_no_more_tries():
    assert retry_delay_seconds(MAX_TRIES, 0.5, 7.0) is None


def test_a_spec_that_a_query_did_not_find_gets_a_few_more_tries():
    later = [delay_after_unknown_seconds(MAX_TRIES + more) for more in range(len(LAST_DELAYS_SECONDS) + 2)]
    assert later == [*LAST_DELAYS_SECONDS, None, None]


@pytest.mark.parametrize(
    ("asked", "paused"), [(None, 1.0), (0.0, 0.0), (7.0, 7.0), (1e30, LONGEST_THROTTLE_PAUSE_SECONDS)]
)
def test_a_429_pauses_for_as_long_as_it_asks_within_bounds(asked, paused):
    assert throttle_pause_seconds(asked) == paused
