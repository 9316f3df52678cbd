"""The histogram of calls: buckets, closed sets, and what is written."""

import pytest

from couponpress.ledger.request_durations import BOUNDS_SECONDS, OTHER_STATUS, Durations, histograms_of


def stored(*calls):
    durations = Durations()
    for call in calls:
        durations.note(*call)
    return {field.encode(): str(count).encode() for field, count in durations.take().items()}


def test_a_call_lies_in_the_bucket_that_holds_its_bound():
    (told,) = histograms_of(stored(*(("submit", 200, "", bound) for bound in BOUNDS_SECONDS)))
    assert told.counts == (1,) * len(BOUNDS_SECONDS) + (0,)
    assert told.sum_seconds == pytest.approx(sum(BOUNDS_SECONDS))


def test_a_call_beyond_the_last_bound_is_counted():
    (told,) = histograms_of(stored(("submit", 200, "", 11.0)))
    assert (told.counts[-1], told.sum_seconds) == (1, 11.0)


def test_ends_are_told_apart_by_a_closed_set():
    calls = [
        ("submit", 200, "", 0.1),
        ("submit", 429, "", 0.1),
        ("query", 0, "open", 0.1),
        ("query", 0, "not_sent", 1.0),
    ]
    calls += [("submit", status, "", 0.1) for status in (418, 599, 999)]
    told = {(one.operation, one.status, one.error): sum(one.counts) for one in histograms_of(stored(*calls))}
    assert told == {
        ("submit", "200", ""): 1,
        ("submit", "429", ""): 1,
        ("submit", OTHER_STATUS, ""): 3,
        ("query", "", "open"): 1,
        ("query", "", "not_sent"): 1,
    }


def test_what_was_taken_is_not_taken_again_unless_it_is_put_back():
    durations = Durations()
    durations.note("submit", 200, "", 0.2)
    taken = durations.take()
    assert not durations.take()
    durations.put_back(taken)
    durations.note("submit", 200, "", 0.2)
    assert durations.take() == {field: 2 * count for field, count in taken.items()}


def test_what_another_version_wrote_is_left_out():
    assert histograms_of({b"dream 200 - 3": b"1", b"submit 200 - 99": b"1"}) == []
