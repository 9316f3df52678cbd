"""Cells that a rule of conditional formatting may show in another number format."""

import io

import openpyxl
import pytest
from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import PatternFill
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.styles.numbers import NumberFormat

from couponpress import catalog
from tests.unit.producers.catalog.test_workbook import HEADER, NORMAL, at, normal, read_all, saved
from tests.workbooks import parts_of, zipped

SHEET = "xl/worksheets/sheet1.xml"
AMOUNT = at("门槛(元)")


def rule(number_format, formula="TRUE", operator=None):
    made = CellIsRule(operator, [formula]) if operator else FormulaRule([formula])
    made.dxf = DifferentialStyle(numFmt=NumberFormat(numFmtId=164, formatCode=number_format))
    return made


def book_with(cells, made, row=NORMAL, change=lambda sheet: None):
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(row)
    change(book.active)
    book.active.conditional_formatting.add("Z99", made)
    parts = parts_of(saved(book))
    parts[SHEET] = parts[SHEET].replace(b'sqref="Z99"', f'sqref="{cells}"'.encode())
    return zipped(parts)


def outcome(content):
    _, found = read_all(content)
    (row,) = found
    if isinstance(row, catalog.BrokenRow):
        return row.problems[0].rule
    return row.spec.combine_image.normal_coupon.threshold


MAY_BE = "may be shown as something else by a rule of conditional formatting"


@pytest.mark.parametrize(
    ("number_format", "cells", "expected"),
    [
        ('0"分"', AMOUNT, MAY_BE),
        ('0"分"', "E1:G99", MAY_BE),
        ('0"分"', "A1:A9 F2", MAY_BE),
        ('0"分"', "F:F", MAY_BE),
        ('0"分"', "2:2", MAY_BE),
        ('0"分"', "$F$9:$F$1", MAY_BE),
        (";;;", AMOUNT, MAY_BE),
        ("0!.00", AMOUNT, MAY_BE),
        ("#,##0", AMOUNT, MAY_BE),  # 199.9 would be seen as 200
        ("yyyy-mm-dd", AMOUNT, MAY_BE),
        ("#,##0.00", AMOUNT, 19990),
        ('0.00"元"', AMOUNT, 19990),
        ('0"分"', "Z2", 19990),
        ('0"分"', "F3:F9", 19990),
        ('0"分"', "#REF!", 19990),
    ],
)
def test_a_rule_that_changes_the_format_of_an_amount(number_format, cells, expected):
    found = outcome(book_with(cells, rule(number_format)))
    assert found.startswith(expected) if isinstance(expected, str) else found == expected


@pytest.mark.parametrize(
    ("operator", "bound", "applies"),
    [
        ("equal", "0", False),
        ("lessThan", "100", False),
        ("greaterThan", "100", True),
        ("lessThanOrEqual", "199.9", True),
        ("notEqual", "199.9", False),
        ("greaterThan", "$A$1", True),  # nobody knows
    ],
)
def test_a_rule_that_compares_with_a_number_is_evaluated(operator, bound, applies):
    found = outcome(book_with(AMOUNT, rule(";;;", bound, operator)))
    assert found.startswith(MAY_BE) if applies else found == 19990


def test_a_rule_with_two_bounds():
    for bounds, applies in ((["100", "200"], True), (["1", "2"], False)):
        made = CellIsRule("between", bounds)
        made.dxf = rule(";;;").dxf
        found = outcome(book_with(AMOUNT, made))
        assert found.startswith(MAY_BE) if applies else found == 19990


def test_a_rule_that_only_colours_changes_nothing():
    assert outcome(book_with(AMOUNT, FormulaRule(["TRUE"], fill=PatternFill("solid")))) == 19990


def test_an_id_is_looked_at_too():
    (row,) = read_all(book_with("A2", rule("000-000"), normal(商品编号=123456)))[1]
    assert MAY_BE in row.problems[0].rule
    (row,) = read_all(book_with("A2", rule('@"-X"'), normal(商品编号="SP-1")))[1]
    assert MAY_BE in row.problems[0].rule


def test_a_cell_that_is_merged_over_rows_has_the_rules_of_its_first_row():
    def merged(sheet):
        sheet.append(normal(**{"商品编号": "SP-2", "门槛(元)": None}))
        sheet.merge_cells(f"{AMOUNT}:{at('门槛(元)', 3)}")

    _, found = read_all(book_with(AMOUNT, rule('0"分"'), change=merged))
    assert [MAY_BE in row.problems[0].rule for row in found] == [True, True]


def test_rules_that_newer_versions_of_excel_write():
    parts = parts_of(book_with("Z9", rule("0")))
    of_2010 = (
        '<extLst><ext xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main" '
        'xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"><x14:conditionalFormattings>'
        '<x14:conditionalFormatting><x14:cfRule type="expression" id="{A}"><xm:f>TRUE</xm:f><x14:dxf>'
        '<numFmt numFmtId="200" formatCode="0&quot;分&quot;"/></x14:dxf></x14:cfRule>'
        f"<xm:sqref>{AMOUNT}</xm:sqref></x14:conditionalFormatting></x14:conditionalFormattings></ext></extLst>"
    )
    parts[SHEET] = parts[SHEET].replace(b"</worksheet>", of_2010.encode() + b"</worksheet>")
    assert outcome(zipped(parts)).startswith(MAY_BE)


def test_the_format_of_a_rule_is_not_that_of_a_style_with_the_same_number():
    """Programs count the formats of rules and those of cells apart."""

    def in_yuan(sheet):
        sheet[AMOUNT].number_format = '0.00"元"'

    content = book_with("Z9", rule('0"分"'), change=in_yuan)
    styles = parts_of(content)["xl/styles.xml"].decode()
    assert styles.count('numFmtId="164"') >= 3
    assert outcome(content) == 19990


def test_too_many_ranges_are_refused_in_one_sentence():
    cells = " ".join(f"F{line}" for line in range(2, 20_010))
    with pytest.raises(catalog.reader.CatalogError, match="more than 20000 ranges have formats by condition"):
        read_all(book_with(cells, rule('0"分"')))


def test_the_error_workbook_of_such_a_row_can_be_mended(tmp_path):
    path = tmp_path / "may.xlsx"
    path.write_bytes(book_with(AMOUNT, rule('0"分"')))
    with catalog.read(path) as rows, catalog.ErrorFile(tmp_path / "e.xlsx", rows) as errors:
        for row in rows:
            errors.write(row)
    with catalog.read(io.BytesIO((tmp_path / "e.xlsx").read_bytes()), format="xlsx") as rows:
        assert [type(row) for row in rows] == [catalog.Row]
