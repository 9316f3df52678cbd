"""Ids that a spreadsheet or a program has changed: unwrapped where it is plain what was meant, else refused."""

import re

import pytest

from couponpress import catalog
from couponpress.catalog.cells import CellError
from couponpress.catalog.ids import identifier
from tests.unit.producers.catalog.test_reading import GOOD_LINE, read_all, told

HEADER = "商品编号,品牌ID,优惠范围,券类型,门槛(元),减免(元)"


@pytest.mark.parametrize(
    ("cell", "id_"),
    [
        ("SP-1", "SP-1"),
        ("", ""),
        ('="00123"', "00123"),
        ("'00123", "00123"),
        ("1001.0", "1001"),
        ("1001.00", "1001"),
        ("SP-1\u200b", "SP-1"),
        ("\ufeffSP-1", "SP-1"),
        ("\u202aSP-1\u202c", "SP-1"),
        ("SP-1\u00a0", "SP-1"),
        ("1E5", "1E5"),
        ("7e12", "7e12"),
        ("#12", "#12"),
        ("v1.2", "v1.2"),
        ("'quoted'", "quoted"),
        ("\u201cSP-1\u201d", "SP-1"),
        ("\u201800123", "00123"),
        ("`00123", "00123"),
        ("it's", "it's"),
        ("120344_x000D_", "120344"),
        ("_x000D__x000A_120344_xFEFF_", "120344"),
        ("a_x0041_b", "a_x0041_b"),
        ('"00123"', "00123"),
        ('="123456789012345000"', "123456789012345000"),
        ("123456789012345678", "123456789012345678"),
        ("6901234567890.0", "6901234567890"),
        ("SEP-02", "SEP-02"),
        ("2024-01-02", "2024-01-02"),
        ("5月1日款", "5月1日款"),
        ("NA-1", "NA-1"),
        ('="2024/1/2"', "2024/1/2"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("SP-1\U000e0041\u2800", "SP-1"),
        ("1.2.3", "1.2.3"),
        ("6901234567890120", "6901234567890120"),
        ("3x10", "3x10"),
        ("1,2", "1,2"),
    ],
)
def test_an_id_is_what_was_meant(cell, id_):
    assert identifier(cell) == id_


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("6.90123E+12", "shortened"),
        ("6.90123e+12", "shortened"),
        ("7E+12", "shortened"),
        ("#N/A", "a formula's error"),
        ("#REF!", "a formula's error"),
        ("#VALUE!", "a formula's error"),
        ("#DIV/0!", "a formula's error"),
        ("#NAME?", "a formula's error"),
        ("Err:502", "a formula's error"),
        ("########", "too narrow"),
        ("nan", "no value"),
        ("NULL", "no value"),
        ("None", "no value"),
        ("N/A", "no value"),
        ("N-A", "no value"),
        ("undefined", "no value"),
        ("TRUE", "no value"),
        ("\\N", "no value"),
        ("-", "no value"),
        ("1234567890123456.0", "last digits may be lost"),
        ("123456789012345000", "16th digit"),
        ("6,90123E+12", "shortened"),
        ("6.90123E 12", "shortened"),
        ("6.9012×10^12", "shortened"),
        ("#名称?", "a formula's error"),
        ("#值!", "a formula's error"),
        ("#WERT!", "a formula's error"),
        ("#¡VALOR!", "a formula's error"),
        ("#NV", "a formula's error"),
        ("错误：502", "a formula's error"),
        ("Error 2042", "a formula's error"),
        ("=A1", "a formula"),
        ("=VLOOKUP(A2;B:C;2;0)", "a formula"),
        ("<NA>", "no value"),
        ("(null)", "no value"),
        ("NaT", "no value"),
        ("n.a.", "no value"),
        ("—", "no value"),
        ("/", "no value"),
        ("？", "no value"),
        ("暂无", "no value"),
        ("假", "no value"),
        ("WAHR", "no value"),
        ("1.#QNAN", "no value"),
        ("12_x000D_34", "trace of a letter"),
        ("6,901,234", "in groups"),
        ("1 234 567", "in groups"),
        ("2-Sep", "a date"),
        ("Sep-02", "a date"),
        ("1月2日", "a date"),
        ("2024/1/2", "a date"),
        ("2024-01-02 00:00:00", "a date"),
        ("2024-01-02T00:00:00Z", "a date"),
        ("5/1/2026", "a date"),
        ("01.05.2026", "a date"),
        ("12:30", "a time"),
        ("\ufffd\ufffd-1", "could not read"),
        ("锟斤拷1", "could not read"),
        ("\u00ef\u00bb\u00bfSP-1", "could not read"),
        ("SP\x001", "nobody sees (U+0000)"),
        ("SP\n1", "nobody sees (U+000A)"),
        ("SP\u00a01", "nobody sees (U+00A0)"),
        ("SP\u20281", "nobody sees (U+2028)"),
        ("\x1a", "nobody sees (U+001A)"),
        ("{{sku}}", "no value"),
        ("${sku}", "no value"),
        ("&nbsp;", "no value"),
        ("[object Object]", "no value"),
        ("Loading...", "no value"),
        ("正在加载...", "no value"),
    ],
)
@pytest.mark.parametrize("column", ["商品编号", "品牌ID"])
def test_what_a_program_put_there_is_refused(cell, rule, column):
    with pytest.raises(CellError, match=re.escape(rule)):
        identifier(cell)
    row = f'"{cell}","120344"' if column == "商品编号" else f'"SP-1","{cell}"'
    text = f"{HEADER}\nSP-0,120344,全场,满减券,100,20\n{row},全场,满减券,100,20\n"
    _, found = read_all(text)
    assert [type(one) for one in found] == [catalog.Row, catalog.BrokenRow]
    ((field, told_rule, value),) = told(found[1])
    assert (field, value) == (column, cell)
    assert rule in told_rule


def test_two_products_do_not_become_one():
    shown = "6.90123E+12,120344,全场,满减券,100,20\n"
    rows, _ = read_all(f"{HEADER}\n{shown * 2}")
    assert (rows.good, rows.broken) == (0, 2)


def test_unwrapped_ids_are_what_is_sent():
    text = f'{HEADER}\n="00123",120344.0,全场,满减券,100,20\nSP-2,\'120344,全场,满减券,100,20\n'
    _, found = read_all(text)
    assert [(row.spec.row_id, row.spec.brand_id) for row in found] == [("00123", "120344"), ("SP-2", "120344")]


@pytest.mark.parametrize("name", ["row_id", "brand_id"])
def test_json_has_such_words_too(name):
    good = "a" if name == "row_id" else "1"
    _, found = read_all(GOOD_LINE + "\n" + GOOD_LINE.replace(f'"{name}": "{good}"', f'"{name}": "nan"'), "jsonl")
    assert [field for field, _, _ in told(found[1])] == [name]


def test_letters_that_nobody_sees_are_dropped_from_the_ids_of_jsonl():
    _, found = read_all(GOOD_LINE.replace('"a"', '"a\u200b"').replace('"1"', '"\ufeff1"'), "jsonl")
    assert [(row.spec.row_id, row.spec.brand_id) for row in found] == [("a", "1")]
    _, found = read_all(GOOD_LINE.replace('"a"', '"a_x000D_"'), "jsonl")
    assert [problem[0] for problem in told(found[0])] == ["row_id"]


@pytest.mark.parametrize(
    ("cell", "noted"),
    [
        ("6901234567890120", 1),
        ("69012345678901200", 1),
        ('="6901234567890120"', 0),
        ("6901234567890121", 0),
        ("690123456789010", 0),
        ("2024-01-02", 1),
        ("2024-13-02x", 0),
    ],
)
def test_an_id_that_a_spreadsheet_may_have_changed_is_taken_and_noted(cell, noted):
    """One true id of 16 digits in ten ends in 0, so that it cannot be refused."""
    rows, found = read_all(f"{HEADER}\n{cell},120344,全场,满减券,100,20\n")
    assert [row.spec.row_id for row in found] == [cell.strip('="')]
    assert [count for note, count in rows.notes.items() if note.startswith("商品编号: ")] == [1] * noted


def test_full_width_digits_of_a_brand_are_its_digits():
    _, found = read_all(f"{HEADER}\nＳＰ-1,１２０３４４,全场,满减券,100,20\n")
    assert [(row.spec.row_id, row.spec.brand_id) for row in found] == [("ＳＰ-1", "120344")]
