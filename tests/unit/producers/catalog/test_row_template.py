"""A row's expression takes rows that are spelled as those that were learnt, and no other."""

import pytest

from couponpress.catalog import row_template
from couponpress.catalog.row_template import RowTemplate


def learnt(*rows):
    """A template of rows, each a list of its cells: letters, column, other attributes, value, text."""
    template = RowTemplate()
    for _ in range(row_template.LEARNT_ROWS):
        for cells in rows:
            template.learn(*zip(*cells, strict=True))
    return template


A = ("A", 0, ' t="s"', "1", None)
B = ("B", 1, "", "2.5", None)
B_TEXT = ("B", 1, ' t="inlineStr"', None, "无")
C_EMPTY = ("C", 2, ' s="3"', None, None)
TEMPLATE = learnt([A, B], [A, B_TEXT, C_EMPTY])


def contents(row):
    found = TEMPLATE.match(row)
    return None if found is None else found.groups()


def test_nothing_is_known_before_some_rows_are_learnt():
    template = RowTemplate()
    template.learn(["A"], [0], [""], ["1"], [None])
    assert template.match('<row r="1"><c r="A1"><v>1</v></c>') is None


def test_each_content_has_its_column_and_the_attributes_of_its_cell():
    assert TEMPLATE.columns == [0, 1, 1, 2]
    assert TEMPLATE.others == [' t="s"', "", ' t="inlineStr"', ' s="3"']
    assert contents('<row r="7" spans="1:3"><c r="A7" t="s"><v>5</v></c><c r="B7"><v>1.5</v></c>') == (
        "7", ' spans="1:3"', "5", "1.5", None, None,
    )  # fmt: skip
    assert contents('\n<row r="7"><c r="B7" t="inlineStr"><is><t>a&amp;b</t></is></c><c r="C7" s="3"/>') == (
        "7", "", None, None, "a&amp;b", "",
    )  # fmt: skip
    assert contents('<row r="7">') == ("7", "", None, None, None, None)


@pytest.mark.parametrize("row", [
    '<row r="7"><c r="A8" t="s"><v>5</v></c>',
    '<row r="07"><c r="A07" t="s"><v>5</v></c>',
    '<row><c r="A7" t="s"><v>5</v></c>',
    '<row r="7"><c r="A7"><v>5</v></c>',
    '<row r="7"><c r="B7"><v>1</v></c><c r="A7" t="s"><v>5</v></c>',
    '<row r="7"><c r="B7"><v>1</v></c><c r="B7" t="inlineStr"><is><t>1</t></is></c>',
    '<row r="7"><c r="A7" t="s"><v>5</v></c><c r="D7"><v>1</v></c>',
    '<row r="7"><c r="B7"><v>1&nbsp;</v></c>',
    '<row r="7"><c r="B7"><v>1&</v></c>',
    '<row r="7"><c r="B7"><v>1\n</v></c>',
    '<row r="7"><c r="B7"><f>1</f><v>1</v></c>',
    '<row r="7"><c r="B7"><v>1</v></c> x',
    '<row r="7"/><row r="8"><c r="B8"><v>1</v></c>',
])  # fmt: skip
def test_another_row_is_not_matched(row):
    assert contents(row) is None


def test_too_many_spellings_are_left_to_others():
    template = RowTemplate()
    for number in range(row_template.LEARNT_ROWS * 30):
        template.learn(["A"], [0], [f' s="{number}"'], ["1"], [None])
    assert len(template.others) <= 100
    assert template.match('<row r="1"><c r="A1" s="3"><v>1</v></c>') is not None
    assert template.match('<row r="1"><c r="A1" s="239"><v>1</v></c>') is None
