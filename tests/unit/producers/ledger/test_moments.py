"""Lengths of time and moments, as people write them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from couponpress.errors import InputError
from couponpress.ledger.moments import read_end, read_length, read_moment, read_past

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 29, 22, 30, 15, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d12h", 129600), ("45s", 45), (" 2H ", 7200), ("366d", 31622400)],
)
def test_a_length_of_time(text, seconds):
    assert read_length(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0m", "2", "m", "-1h", "1h 30m", "30m2h", "367d", "999999d", "２h"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(InputError, match="length of time"):
        read_length(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("23:00", datetime(2026, 11, 29, 23, 0, tzinfo=SHANGHAI)),
        ("06:00", datetime(2026, 11, 30, 6, 0, tzinfo=SHANGHAI)),
        ("22:30", datetime(2026, 11, 30, 22, 30, tzinfo=SHANGHAI)),
        ("2026-12-01T06:00", datetime(2026, 12, 1, 6, 0, tzinfo=SHANGHAI)),
        ("2026-12-01T06:00+00:00", datetime(2026, 12, 1, 14, 0, tzinfo=SHANGHAI)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=SHANGHAI)),
    ],
)
def test_a_moment_ahead(text, moment):
    assert read_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "25:00", "12:60", "soon", "2026-11-29T22:00", "2028-01-01", "2026-13-01"])
def test_what_is_no_moment_ahead(text):
    with pytest.raises(InputError):
        read_moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2d", NOW - timedelta(days=2)),
        ("06:00", datetime(2026, 11, 29, 6, 0, tzinfo=SHANGHAI)),
        ("23:00", datetime(2026, 11, 28, 23, 0, tzinfo=SHANGHAI)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=SHANGHAI)),
    ],
)
def test_a_moment_of_the_past(text, moment):
    assert read_past(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "99:99", "2h1d"])
def test_what_is_no_moment_of_the_past(text):
    with pytest.raises(InputError):
        read_past(text, NOW)


def test_an_end_is_given_as_a_moment_or_as_a_length():
    assert read_end(None, None, NOW) is None
    assert read_end("23:00", None, NOW) == datetime(2026, 11, 29, 23, 0, tzinfo=SHANGHAI)
    assert read_end(None, "2h", NOW) == timedelta(hours=2)
    with pytest.raises(InputError, match="not both"):
        read_end("23:00", "2h", NOW)
