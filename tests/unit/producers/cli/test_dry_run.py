"""What a dry run tells of time."""

import time

import pytest

from couponpress.cli.dry_run import cost_line

NOON = time.mktime((2026, 5, 1, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("rows", "rate", "waiting", "line"),
    [
        (312_000, 493.0, 0, "312,000 rows, 10 min 33 s at 493/s, done by 12:10:33"),
        (1000, 10.0, 500, "1,000 rows behind 500 that wait already, 2 min 30 s at 10/s, done by 12:02:30"),
    ],
)
def test_a_cost_in_time(rows, rate, waiting, line):
    assert cost_line(rows, rate, waiting, NOON) == line
