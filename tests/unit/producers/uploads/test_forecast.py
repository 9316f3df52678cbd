"""What sending takes, and how it is told."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.uploads.forecast import Forecast

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 5, 1, 12, tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("specs", "rate", "sentence"),
    [
        (312_000, 493.0, "10 min 33 s at 493/s, done by 12:10:33"),
        (1, 500.0, "1 s at 500/s, done by 12:00:01"),
        (100, 488.235, "1 s at 488/s, done by 12:00:01"),
        (100, 2.5, "40 s at 2.5/s, done by 12:00:40"),
        (100, 9.96, "11 s at 10/s, done by 12:00:11"),
        (6000, 1200.0, "5 s at 1,200/s, done by 12:00:05"),
        (20_000_000, 500.0, "11 h 6 min at 500/s, done by 23:06:40"),
        (40_000_000, 500.0, "22 h 13 min at 500/s, done by 2026-05-02 10:13:20"),
    ],
)
def test_sentences(specs, rate, sentence):
    assert Forecast(specs, rate, NOON, BERLIN).sentence == sentence


def test_the_clock_of_the_last_request_is_meant():
    before_midnight = datetime(2026, 10, 24, 23, 0, tzinfo=BERLIN).timestamp()
    assert Forecast(5 * 3600, 1.0, before_midnight, BERLIN).sentence.endswith("done by 2026-10-25 03:00:00")


@given(specs=st.integers(1, 10**7), rate=st.floats(0.1, 1000))
def test_it_takes_as_long_as_all_of_them(specs, rate):
    assert Forecast(specs, rate, NOON, BERLIN).done_by.timestamp() - NOON == pytest.approx(specs / rate, abs=1)
