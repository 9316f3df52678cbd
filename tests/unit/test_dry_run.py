"""What a dry run tells of time."""

import time

import pytest

from couponpress.dry_run import cost_line, span

NOON = time.mktime((2026, 5, 1, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("rows", "rate", "waiting", "line"),
    [
        (312_000, 493.0, 0, "312,000 rows, 10 min 33 s at 493/s, done by 12:10:33"),
        (1, 500.0, 0, "1 rows, 1 s at 500/s, done by 12:00:00"),
        (1000, 10.0, 500, "1,000 rows behind 500 that wait already, 2 min 30 s at 10/s, done by 12:02:30"),
        (100, 2.5, 0, "100 rows, 40 s at 2.5/s, done by 12:00:40"),
        (100, 488.235, 0, "100 rows, 1 s at 488.2/s, done by 12:00:00"),
        (20_000_000, 500.0, 0, "20,000,000 rows, 11 h 6 min at 500/s, done by 23:06:40"),
        (40_000_000, 500.0, 0, "40,000,000 rows, 22 h 13 min at 500/s, done by 2026-05-02 10:13:20"),
    ],
)
def test_a_cost_in_time(rows, rate, waiting, line):
    assert cost_line(rows, rate, waiting, NOON) == line


@pytest.mark.parametrize(("seconds", "told"), [(0, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min")])
def test_a_span(seconds, told):
    assert span(seconds) == told
