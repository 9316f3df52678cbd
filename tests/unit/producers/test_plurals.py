"""One thing, several things, none."""

import pytest

from couponpress.plurals import counted


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows"), (1_000_000, "1,000,000 rows")],
)
def test_a_count_has_its_noun_in_the_right_number(number, told):
    assert counted(number, "row") == told


def test_an_irregular_noun_is_given_in_both_forms():
    assert [counted(number, "query", "queries") for number in (1, 2)] == ["1 query", "2 queries"]
