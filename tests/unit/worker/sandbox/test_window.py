from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.sandbox.window import SECOND_US, Arrivals, SlidingWindow

gaps = st.lists(st.integers(0, SECOND_US // 2), max_size=60)


def moments_of(gaps_us):
    moments, now = [], 1_000
    for gap in gaps_us:
        now += gap
        moments.append(now)
    return moments


def most_by_counting(moments):
    return max((sum(end - SECOND_US < moment <= end for moment in moments) for end in moments), default=0)


@given(gaps, st.integers(1, 5))
def test_no_window_of_a_second_holds_more_than_the_limit_and_nothing_is_refused_without_need(gaps_us, limit):
    window, admitted = SlidingWindow(limit), []
    for moment in moments_of(gaps_us):
        recent = sum(moment - SECOND_US < other <= moment for other in admitted)
        assert window.admits(moment) is (recent < limit)
        if recent < limit:
            admitted.append(moment)
    assert most_by_counting(admitted) <= limit


def test_a_request_exactly_one_second_later_is_in_the_next_window():
    window = SlidingWindow(1)
    assert window.admits(0)
    assert not window.admits(SECOND_US - 1)
    assert window.admits(SECOND_US)


def test_a_refused_request_does_not_count():
    window = SlidingWindow(1)
    assert window.admits(0)
    assert not window.admits(900_000)
    assert window.admits(SECOND_US)


def test_limit_0_admits_all_and_a_limit_can_change():
    window = SlidingWindow(0)
    assert all(window.admits(0) for _ in range(1000))
    window.limit = 1
    assert not window.admits(1)


@given(gaps)
def test_the_most_in_any_second_is_exact(gaps_us):
    moments, arrivals = moments_of(gaps_us), Arrivals()
    assert [arrivals.record(moment) for moment in moments] == list(range(len(moments)))
    assert arrivals.most_in_any_second == most_by_counting(moments)
    assert sum(arrivals.per_second) == len(arrivals) == len(moments)
    assert list(arrivals.moments_us) == moments


def test_bins_and_offsets_begin_with_the_first_arrival():
    arrivals = Arrivals()
    for moment in (5_000_000, 5_999_999, 6_000_000, 8_500_000):
        arrivals.record(moment)
    assert arrivals.per_second == [2, 1, 0, 1]
    assert arrivals.offsets_seconds() == [0.0, 0.999999, 1.0, 3.5]


def test_a_moment_that_goes_back_is_taken_as_the_latest_one():
    arrivals = Arrivals()
    arrivals.record(10)
    arrivals.record(7)
    assert list(arrivals.moments_us) == [10, 10]
