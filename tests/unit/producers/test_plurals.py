"""One thing, several things, none."""

import pytest

from couponpress.plurals import counted, span


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows"), (1_000_000, "1,000,000 rows")],
)
def test_a_count_has_its_noun_in_the_right_number(number, told):
    assert counted(number, "row") == told


def test_an_irregular_noun_is_given_in_both_forms():
    assert [counted(number, "query", "queries") for number in (1, 2)] == ["1 query", "2 queries"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (1, "1 s"),
        (119, "119 s"),
        (120, "2 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 days"),
    ],
)
def test_a_span(seconds, told):
    assert span(seconds) == told
