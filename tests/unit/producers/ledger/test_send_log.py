"""The flight record's arithmetic."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress.ledger.send_log import Sent, in_last_second, pack_moments, unpack_moments, write_proof

NOW_US = 1_795_000_000_000_000
moments = st.lists(st.integers(NOW_US, NOW_US + 5_000_000), min_size=1, max_size=200)


@settings(deadline=None)
@given(moments)
def test_moments_come_back_in_order(given_us):
    assert unpack_moments(pack_moments(given_us)) == sorted(given_us)


def test_a_second_at_the_limit_takes_about_two_bytes_a_request():
    paced = [NOW_US + number * 2041 + number * 7919 % 500 for number in range(490)]
    assert len(pack_moments(paced)) < 490 * 3


@settings(deadline=None)
@given(moments)
def test_the_busiest_second_is_the_busiest_of_all_closed_windows(given_us):
    ordered = sorted(given_us)
    by_hand = max(sum(1 for at in ordered if start <= at <= start + 1_000_000) for start in ordered)
    assert max(in_last_second(ordered)) == by_hand


@pytest.mark.parametrize(("gap_us", "most"), [(999_999, 2), (1_000_000, 2), (1_000_001, 1)])
def test_a_window_is_closed_at_both_ends(gap_us, most):
    assert max(in_last_second([NOW_US, NOW_US + gap_us])) == most


def test_the_proof_can_be_recounted_from_its_own_lines():
    sent = [Sent(NOW_US + number * 400_000, f"worker-{number % 2}") for number in range(6)]
    stream = io.StringIO()
    assert write_proof(sent, stream) == 3
    lines = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [int(line["in_last_second"]) for line in lines] == [1, 2, 3, 3, 3, 3]
    assert [int(line["sent_at_us"]) for line in lines] == [one.at_us for one in sent]
    assert lines[1]["sent_at"] == "2026-11-18T11:06:40.400000+00:00"
    assert {line["process"] for line in lines} == {"worker-0", "worker-1"}


def test_nothing_sent_proves_nothing():
    stream = io.StringIO()
    assert write_proof([], stream) == 0
    assert stream.getvalue().splitlines() == ["sent_at,sent_at_us,in_last_second,process"]
