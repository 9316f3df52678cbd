"""Workbooks: what a sheet's cells become, what is refused because Excel changed it, and the way back."""

import csv
import datetime as dt
import io
import re
import sys
import zipfile

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.styles import Font
from openpyxl.utils.cell import get_column_letter

from couponpress import catalog
from couponpress.catalog import cells as typed
from couponpress.catalog.rows import NOT_CALCULATED, SheetCell
from couponpress.catalog.template import choices_of
from couponpress.catalog.workbook_cells import text_of
from couponpress.errors import CatalogError
from tests.workbooks import beyond_excel_2007, parts_of

A_DATE = dt.datetime.fromisoformat("2026-05-01")
URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"
HEADER = (
    "商品编号",
    "品牌ID",
    "图片类型",
    "优惠范围",
    "券类型",
    "门槛(元)",
    "减免(元)",
    "折扣",
    "换购价(元)",
    "商品图",
)
NORMAL = ("SP-1", 120344, "拼图", "全场", "满减券", 199.9, 20, None, None, None)
DISCOUNT = ("SP-2", "120344", "拼图", "品类", "折扣券", "无门槛", None, "8.5折", None, None)
EXCHANGE = ("SP-3", 120345.0, "拼图", "单品", "兑换券", 50, None, None, 9.9, None)
CUT_OUT = ("SP-4", 120345, "抠图", None, None, None, None, None, None, URL)


def saved(book):
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def workbook(*rows, header=HEADER, formats=None, merged=(), cells=None, sheets=()):
    """A workbook's bytes. `formats`: coordinate -> number format; `cells`: coordinate -> the XML within its cell."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "优惠券"
    for row in (header, *rows):
        sheet.append(row)
    for at, number_format in (formats or {}).items():
        sheet[at].number_format = number_format
    for one in merged:
        sheet.merge_cells(one)
    for name in sheets:
        book.create_sheet(name).append(["nothing"])
    return with_cells(saved(book), cells or {})


def with_cells(content, cells):
    """Put XML into cells, such as a formula with the result that Excel keeps beside it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                for at, inner in cells.items():
                    part, count = re.subn(
                        rf'<c r="{at}"([^>]*?)( t="\w+")?(/>|>.*?</c>)'.encode(),
                        lambda found, at=at, inner=inner: (
                            f'<c r="{at}"'.encode() + re.sub(rb' t="\w+"', b"", found[1]) + inner.encode() + b"</c>"
                        ),
                        part,
                        count=1,
                    )
                    assert count == 1, at
            new.writestr(name, part)
    return out.getvalue()


def read_all(content, **options):
    with catalog.read(io.BytesIO(content), format="xlsx", **options) as rows:
        return rows, list(rows)


def only(content, **options):
    _, found = read_all(content, **options)
    assert len(found) == 1
    return found[0]


def told(row):
    assert isinstance(row, catalog.BrokenRow), row
    return [(problem.field, problem.rule, problem.value) for problem in row.problems]


def normal(**changes):
    return tuple(changes.get(name, cell) for name, cell in zip(HEADER, NORMAL, strict=True))


def at(name, line=2):
    return f"{get_column_letter(HEADER.index(name) + 1)}{line}"


# --- a cell -----------------------------------------------------------------------------------------------------------


DAY = 46143  # 2026-05-01


@pytest.mark.parametrize(
    ("value", "number_format", "unit", "text"),
    [
        (None, "General", "yuan", ""),
        ("8折", "General", "percent", "8折"),
        (True, "General", "yuan", "is TRUE to Excel"),
        (20, "General", "yuan", "20"),
        (199.9, "General", "yuan", "199.9"),
        (199.9, "G/通用格式", "yuan", "199.9"),
        (19.900000000000002, "General", "yuan", "19.9"),
        (0.1 + 0.2, "General", "yuan", "0.3"),
        (19990.0, "#,##0.00", "yuan", "19990"),
        (99999999999999.25, '"¥"#,##0.00', "yuan", "has more digits than Excel keeps"),
        (999999999999.25, '"¥"#,##0.00', "yuan", "999999999999.25"),
        (999999999999999, "General", "yuan", "999999999999999"),
        (10**15, "General", "yuan", "has more digits than Excel keeps"),
        (1e300, "General", "yuan", "has more digits than Excel keeps"),
        (float("inf"), "General", "yuan", "has more digits than Excel keeps"),
        (1e-7, "General", "yuan", "0.0000001"),
        (0.2, "0%", "percent", "20%"),
        (0.07, "0.00%", "percent", "7%"),
        (0.125, "0.0%", "percent", "12.5%"),
        (0.125, "0%", "percent", "is shown rounded"),
        (1, "0%", "percent", "100%"),
        (0.2, "0%%", "percent", "another number than it holds"),
        (20, '0"%"', "percent", "20%"),
        (20, r"0\%", "percent", "20%"),
        (8.5, '0.0"折"', "percent", "8.5折"),
        (8.5, 'General"折"', "percent", "8.5折"),
        (8.5, "0.0!折", "percent", "8.5折"),
        (0.85, '0.0"折"', "percent", "is shown rounded"),
        (8.5, '0.0"折"', "yuan", "is shown with '折'"),
        (0.2, "[Red]0%;[Green]-0%", "percent", "20%"),
        (0.2, "0%", "yuan", "is shown as a percentage"),
        (5, '_-"￥"* #,##0.00_-', "yuan", "5"),
        (5, "[$¥-804]#,##0.00", "yuan", "5"),
        (5, '#,##0.00"元"', "yuan", "5"),
        (5, "[$¥-411]#,##0", "yuan", "is shown with '¥JPY'"),
        (5, "[$¥-ja-JP]#,##0", "yuan", "is shown with '¥JPY'"),
        (5, "[$￥-en-JP]#,##0", "yuan", "is shown with '¥JPY'"),
        (5, "[$¥-zh-CN]#,##0", "yuan", "5"),
        (5, "[$JPY] 0", "yuan", "is shown with 'JPY'"),
        (5, "[$HKD] 0", "yuan", "is shown with 'HKD'"),
        (5, "[$€-407] 0", "yuan", "is shown with '€'"),
        (5, '0"分"', "yuan", "is shown with '分'"),
        (5, '0"角"', "yuan", "is shown with '角'"),
        (5, '0"分"', "cents", "5"),
        (5, '0"元"', "cents", "is shown with '元'"),
        (5, "0.00", "cents", "is shown with decimals"),
        (5, "#,##0", "cents", "5"),
        (1.5, '0.0"万"', "yuan", "is shown with '万'"),
        (199000, "#,##0,", "yuan", "another number than it holds"),
        (199000, "0.00,", "yuan", "another number than it holds"),
        (19990, '0"."00', "yuan", "is shown with '.'"),
        (19990, "0-00", "yuan", "is shown with '-'"),
        (19990, "0 00", "yuan", "another number than it holds"),
        (199.6, "0", "yuan", "is shown rounded"),
        (199.96, "0.0", "yuan", "is shown rounded"),
        (199.5, "0.0", "yuan", "199.5"),
        (199, "0.00E+00", "yuan", "another number than it holds"),
        (12.5, "# ?/?", "yuan", "another number than it holds"),
        (100, "[DBNum1]0", "yuan", "another number than it holds"),
        (199, ";;;", "yuan", "is shown as nothing"),
        (0, "#", "yuan", "is shown as nothing"),
        (0, '_ * #,##0_ ;_ * -#,##0_ ;_ * "-"_ ;_ @_ ', "yuan", "0"),
        (199, '[>=100]0"分";0"元"', "yuan", "is shown with '分'"),
        (99, '[>=100]0"分";0"元"', "yuan", "99"),
        (-5, "0;[Red]0", "yuan", "-5"),
        (DAY, "yyyy-mm-dd", "yuan", "is a date or a time"),
        (0.4, "h:mm", "yuan", "is a date or a time"),
        (1, "[h]:mm", "yuan", "is a date or a time"),
        (DAY, 'm"月"d"日"', "yuan", "is a date or a time"),
        (0, '_ ¥* #,##0.00_ ;_ ¥* -#,##0.00_ ;_ ¥* "-"??_ ;_ @_ ', "yuan", "0"),
        (0, '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)', "cents", "0"),
        (0, '_ ¥* #,##0.00_ ;_ ¥* -#,##0.00_ ;_ ¥* "-"??_ ;_ @_ ', "cents", "is shown with '¥'"),
        (0, "0;-0;??", "yuan", "is shown as nothing"),
        (-0.0, "0.00", "yuan", "0"),
        (-5, '_ ¥* #,##0.00_ ;_ ¥* -#,##0.00_ ;_ ¥* "-"??_ ;_ @_ ', "yuan", "is shown with '¥-'"),
        (5, "[$CN¥-804]#,##0.00", "yuan", "5"),
        (5, '[$RMB￥-804]0"元整"', "yuan", "5"),
        (5, '"满"0"元"', "yuan", "5"),
        (5, '"人民币"0"元"', "yuan", "5"),
        (5, '0"块"', "yuan", "5"),
        (5, '0"元/张"', "yuan", "is shown with '元/张'"),
        (5, '0"元起"', "yuan", "is shown with '元起'"),
        (5, '"满"0"减20"', "yuan", "is shown with '满减20'"),
        (5, '0.00"千元"', "yuan", "is shown with '千元'"),
        (15000, '0!.0,"万"', "yuan", "is shown with '.万'"),
        (5, "[$HK$-C04]0", "yuan", "is shown with 'HK$'"),
        (5, "[$US$-409]0", "yuan", "is shown with 'US$'"),
        (5, "[$NT$-404]0", "yuan", "is shown with 'NT$'"),
        (5, "[$MOP$-C04]0", "yuan", "is shown with 'MOP$'"),
        (1500000, "0.00,,", "yuan", "another number than it holds"),
        (5, '"¥"', "yuan", "is shown as nothing"),
        (5, '"已隐藏"', "yuan", "is shown as nothing"),
        (19990, "0.0.0", "yuan", "another number than it holds"),
        (100, "[DBNum2][$-804]General", "yuan", "another number than it holds"),
        (0.85, "0%", "percent", "85%"),
        (85, '0"% off"', "percent", "85%"),
        (8.5, '"打"0.0"折"', "percent", "8.5折"),
        (8, '0"折起"', "percent", "is shown with '折起'"),
        (8, '0"成"', "percent", "is shown with '成'"),
        ("199", "General", "yuan", "199"),
        ("199", "@", "yuan", "199"),
        ("199", '_ ¥* #,##0.00_ ;_ ¥* -#,##0.00_ ;_ ¥* "-"??_ ;_ @_ ', "yuan", "199"),
        ("199", '@"分"', "yuan", "is shown with '分'"),
        ("199", '0;-0;0;@" USD"', "yuan", "is shown with 'USD'"),
        ("199", ";;;", "yuan", "is shown as nothing"),
    ],
)
def test_what_a_person_would_have_typed(value, number_format, unit, text):
    cell = SheetCell(value, number_format)
    if " " in text:
        with pytest.raises(typed.CellError, match=re.escape(text)):
            text_of(cell, unit)
    else:
        assert text_of(cell, unit) == text


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (120344, "General", "120344"),
        (120344.0, "General", "120344"),
        (120344, "#,##0", "120344"),
        (120344, "0.00E+00", "120344"),
        (1234, "000000", "001234"),
        (1234, "00000_ ", "01234"),
        (7, "00000#", "000007"),
        (1234567, "000000", "1234567"),
        (999999999999999, "0", "999999999999999"),
        (1203441234567890, "0", None),
        (1.20344123456789e18, "0", None),
        (12, '"SP-"0', None),
        (123456, "000-000", None),
        (123456, "0000 0000", None),
        (120000, "0,", None),
        (1001.4, "0", None),
        (0.5, "0%", None),
        (True, "General", None),
        (1234.5, "General", "1234.5"),
        (DAY, "yyyy-mm-dd", None),
        (1001, "[DBNum1]0", None),
        (1001, "# ?/?", None),
        (1001, "[$-804]General", "1001"),
        (1001, "0.0.0", None),
        (1001, '"A"', None),
        (6901234567890, "##0.0E+0", "6901234567890"),
    ],
)
def test_what_an_id_was(value, number_format, text):
    cell = SheetCell(value, number_format)
    if text is None:
        with pytest.raises(typed.CellError, match="format the column as text and write it again"):
            text_of(cell)
    else:
        assert text_of(cell) == text


@settings(deadline=None)
@example(cents=999_999_999_999_999)
@given(cents=st.integers(0, 999_999_999_999_999))
def test_every_amount_is_exact_in_cents_and_none_is_wrong(cents):
    """The nearest binary fraction of an amount, and what sums make of it, is that amount."""
    value = cents / 100
    for noisy in (value, value * (1 + 2.3e-16), value * (1 - 2.3e-16)):
        assert typed.yuan(text_of(SheetCell(noisy), "yuan")) == cents


@settings(deadline=None)
@given(st.floats(allow_nan=False, min_value=0))
def test_a_number_is_sent_as_it_is_shown_or_not_at_all(value):
    try:
        cents = typed.yuan(text_of(SheetCell(value), "yuan"))
    except typed.CellError:
        return
    assert abs(cents / 100 - value) <= 1e-14 * max(value, 1e-3)


@given(st.integers(1, 99))
def test_every_percentage_is_exact(off):
    assert typed.percent_off(text_of(SheetCell(off / 100, "0%"), "percent")) == off
    assert typed.percent_off(text_of(SheetCell(off / 100, "0.00%"), "percent")) == off


# --- rows -------------------------------------------------------------------------------------------------------------


def in_csv(*rows):
    out = io.StringIO()
    csv.writer(out).writerows([HEADER, *rows])
    with catalog.read(io.BytesIO(out.getvalue().encode()), format="csv", encoding="utf-8") as found:
        return list(found)


def test_a_workbook_says_what_a_csv_says():
    rows, found = read_all(workbook(NORMAL, DISCOUNT, EXCHANGE, CUT_OUT))
    exchange = ("SP-3", "120345", *EXCHANGE[2:])
    assert [row.serialized_spec for row in found] == [
        row.serialized_spec for row in in_csv(NORMAL, DISCOUNT, exchange, CUT_OUT)
    ]
    assert (rows.format, rows.sheet, rows.header, rows.unused_columns) == ("xlsx", "优惠券", HEADER, ())
    assert (rows.good, rows.broken) == (4, 0)


ways = st.sampled_from(
    [
        ("门槛(元)", "199.9", [199.9, "199.9", 199.90000000000003, "￥199.90"]),
        ("减免(元)", "20", [20, 20.0, "20", "20元"]),
        ("品牌ID", "120344", [120344, 120344.0, "120344"]),
        ("商品编号", "7", [7, 7.0, "7"]),
    ]
)


@settings(deadline=None, max_examples=30)
@given(st.lists(ways.flatmap(lambda way: st.tuples(st.just(way[0]), st.just(way[1]), st.sampled_from(way[2])))))
def test_numbers_and_texts_mean_the_same(choices):
    typed_in = normal(**{name: cell for name, _, cell in choices})
    texts = normal(**{name: text for name, text, _ in choices})
    assert only(workbook(typed_in)).serialized_spec == in_csv(texts)[0].serialized_spec


def test_rows_keep_their_numbers_and_empty_ones_are_none():
    blank = (None,) * len(HEADER)
    no_id = (None, *NORMAL[1:])
    book = workbook(blank, no_id, ("  ", *blank[1:]), no_id, formats={"A1000": "0.00", "ZZ3": "0.00"})
    _, found = read_all(book)
    assert [(row.line, row.serialized_spec.row_id) for row in found] == [(3, "3"), (5, "5")]


def test_a_header_may_stand_lower_and_further_right():
    book = openpyxl.Workbook()
    for number, name in enumerate(HEADER):
        book.active.cell(4, number + 3, name)
        book.active.cell(6, number + 3, NORMAL[number])
    book.active.cell(6, 40, "a remark beside the table")
    row = only(saved(book))
    assert (row.line, row.serialized_spec.row_id) == (6, "SP-1")


def test_a_formulas_result_is_read():
    formula = "<f>SUM(1,2)</f><v>19.900000000000002</v>"
    row = only(workbook(NORMAL, cells={at("减免(元)"): f">{formula}"}))
    assert row.spec.combine_image.normal_coupon.discount_amount == 1990
    text = ' t="str"><f>A1</f><v>8.5折</v>'
    row = only(workbook(DISCOUNT, cells={at("折扣"): text}))
    assert row.spec.combine_image.discount_coupon.percent_off == 15
    nothing = ' t="str"><f>IF(1,"","")</f><v></v>'
    row = only(workbook(NORMAL, cells={at("商品编号"): nothing}))
    assert row.serialized_spec.row_id == "2"


def test_a_formula_that_was_never_calculated_is_not_taken_for_an_empty_cell():
    row = only(workbook(normal(商品编号="=1+1")))
    rule = "holds a formula that was never calculated; open the workbook in Excel and save it again"
    assert told(row) == [("商品编号", rule, NOT_CALCULATED)]


def test_cells_that_excel_changed_break_their_row_beside_its_other_faults():
    rows, found = read_all(
        workbook(
            NORMAL,
            normal(品牌ID=12034412345678901234, 优惠范围="半场"),
            normal(商品编号=A_DATE),
            normal(品牌ID="#N/A"),
            NORMAL,
        )
    )
    assert (rows.good, rows.broken) == (2, 3)
    (brand, rule, value), (scope, *_) = told(found[1])
    assert (brand, scope) == ("品牌ID", "优惠范围")
    assert rule.startswith("has more digits than Excel keeps of a number")
    assert value == "1.20344123456789e+19"
    assert told(found[2])[0][:2] == (
        "商品编号",
        "is a date or a time to Excel; format the column as text and write it again",
    )
    assert told(found[3]) == [
        ("品牌ID", "holds a formula's error; mend the formula, or write the value itself", "#N/A")
    ]


def test_a_merged_cell_counts_for_each_of_its_rows():
    nobody = normal(品牌ID=None)
    _, found = read_all(workbook(NORMAL, nobody, nobody, normal(品牌ID=7), nobody, merged=["B2:B4", "B5:B6", "A7:C7"]))
    assert [row.spec.brand_id for row in found] == ["120344"] * 3 + ["7"] * 2


def test_a_percentage_is_what_is_taken_off():
    row = only(workbook((*DISCOUNT[:7], 0.2, *DISCOUNT[8:]), formats={at("折扣"): "0%"}))
    assert row.spec.combine_image.discount_coupon.percent_off == 20


def test_the_sheet_can_be_named():
    book = workbook(NORMAL, sheets=["说明", "b"])
    assert read_all(book, sheet="优惠券")[0].good == 1
    with pytest.raises(CatalogError, match="the stream has no sheet 'c'; its sheets are '优惠券', '说明', 'b'"):
        read_all(book, sheet="c")
    with pytest.raises(CatalogError, match=re.escape("line 1 (nothing) is no usable header")):
        read_all(book, sheet="b")
    with pytest.raises(CatalogError, match="is no workbook and has no sheet 'b'"):
        catalog.read(io.BytesIO(b"brand_id,image_url\n"), format="csv", sheet="b")


def damaged_in_the_middle(content):
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        start = book.getinfo("xl/worksheets/sheet1.xml").header_offset
    return content[: start + 400] + b"\0" * 200 + content[start + 600 :]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda content: content[: len(content) // 2], "the stream cannot be read as a workbook (BadZipFile"),
        (lambda content: b"PK\x03\x04" + b"x" * 100, "the stream cannot be read as a workbook (BadZipFile"),
        (damaged_in_the_middle, "the stream cannot be read as a workbook ("),
    ],
)
def test_a_damaged_workbook_is_told(spoil, sentence):
    good = workbook(*(normal(商品编号=f"{number:x}" * 9) for number in range(500)))
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        read_all(spoil(good))


def test_an_empty_sheet_is_told():
    with pytest.raises(CatalogError, match="the stream is empty"):
        read_all(saved(openpyxl.Workbook()))


def test_without_openpyxl_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.delitem(sys.modules, "couponpress.catalog.workbook", raising=False)
    with pytest.raises(CatalogError, match=re.escape("pip install 'couponpress[excel]', or save it in Excel")):
        read_all(workbook_bytes := b"PK\x03\x04" + b"x" * 100)
    assert workbook_bytes


# --- the way back -----------------------------------------------------------------------------------------------------


def errors_of(content, path, **options):
    with (
        catalog.read(io.BytesIO(content), format="xlsx", **options) as rows,
        catalog.ErrorFile(path, rows) as errors,
    ):
        for row in rows:
            if isinstance(row, catalog.BrokenRow):
                errors.write(row)
    return openpyxl.load_workbook(path) if path.exists() else None


def test_broken_rows_come_back_as_a_workbook_and_can_be_mended(tmp_path):
    header = (*HEADER, "开始日期", "备注")
    broken = (*normal(商品编号=None, 品牌ID=None, **{"减免(元)": 19.9}), A_DATE, "=1+1 看")
    long_id = (*normal(品牌ID=1203441234567890123), None, "#N/A")
    book = workbook(NORMAL, broken, long_id, header=header, formats={"K3": "yyyy年m月d日", at("减免(元)", 3): "0.00元"})
    book = with_cells(book, {"L3": ' t="inlineStr"><is><t>=1+1 看</t></is>'})
    path = tmp_path / "errors.xlsx"
    written = errors_of(book, path, row_prefix="may:")
    sheet = written.active
    assert sheet.title == "优惠券"
    assert [cell.value for cell in sheet[1]] == ["_line", "_problem", *header]
    first, second = sheet[2], sheet[3]
    assert (first[0].value, first[1].value) == ("may:3", "品牌ID: is required")
    assert [cell.value for cell in first[2:]] == list(broken)
    assert (first[12].number_format, first[12].is_date) == ("yyyy年m月d日", True)
    assert (first[8].value, first[8].data_type, first[8].number_format) == (19.9, "n", "0.00元")
    assert (first[13].value, first[13].data_type) == ("=1+1 看", "s")
    assert second[1].value.startswith("品牌ID: has more digits than Excel keeps")
    assert second[13].data_type == "e"
    # Submitted as it is, it is broken in the same way, and its own error file has no further columns.
    again = errors_of(path.read_bytes(), tmp_path / "again.xlsx").active
    assert [[cell.value for cell in row] for row in again] == [[cell.value for cell in row] for row in sheet]
    # Mended, the rows keep the ids that they had.
    sheet["D2"] = 120344
    sheet["D3"] = "1203441234567890123"
    _, found = read_all(saved(written))
    assert [row.serialized_spec.row_id for row in found] == ["may:3", "SP-1"]
    assert found[1].spec.brand_id == "1203441234567890123"


def test_the_bad_cell_is_coloured_and_drop_downs_stay(tmp_path):
    sheet = errors_of(workbook(normal(品牌ID=None, 优惠范围="周边")), tmp_path / "errors.xlsx").active
    names = {cell.value: cell.column for cell in sheet[1]}
    coloured = {cell.column for cell in sheet[2] if cell.fill.fill_type == "solid"}
    assert coloured == {names["品牌ID"], names["优惠范围"]}
    choices = {str(one.sqref).partition(":")[0]: one.formula1 for one in sheet.data_validations.dataValidation}
    assert choices[f"{get_column_letter(names['优惠范围'])}2"] == '"全场,单品,品类"'
    assert choices_of("优惠券类型 ") == choices_of("券类型") == ("满减券", "折扣券", "兑换券")
    assert choices_of("type") == choices_of("商品名称") == choices_of("品牌ID") == ()


def test_a_long_reason_is_seen_whole_and_so_are_dates(tmp_path):
    cells = {"优惠范围": "周边", "券类型": "代金券", "门槛(元)": "一百元整", "品牌ID": None}
    book = workbook((*normal(**cells), A_DATE), (*normal(品牌ID=None), None), header=(*HEADER, "开始日期"))
    path = tmp_path / "errors.xlsx"
    sheet = errors_of(book, path).active
    assert sheet["B2"].alignment.wrap_text
    assert sheet["C2"].alignment.vertical == "top"
    widths = {letter: one.width for letter, one in sheet.column_dimensions.items()}
    letters = sum(2 if ord(one) > 255 else 1 for one in sheet["B2"].value)
    assert sheet.row_dimensions[2].height * widths["B"] > 15 * letters
    assert sheet.row_dimensions[3].height is None
    assert widths["C"] == widths[get_column_letter(len(HEADER) + 3)] == 16
    # A cell without a text is not there at all, and no program need tell what an empty one means.
    assert b'inlineStr"></c>' not in parts_of(path.read_bytes())["xl/worksheets/sheet1.xml"]
    assert beyond_excel_2007(path) == []


def test_text_with_struck_out_letters_comes_back_struck_out_and_is_no_amount(tmp_path):
    """Written back as plain text, 199 (struck out) and 100 behind it would be read as the amount 199100."""
    runs = "<is><r><rPr><strike/></rPr><t>199</t></r><r><t>100</t></r></is>"
    book = with_cells(workbook(normal(品牌ID=None)), {at("门槛(元)"): f' t="inlineStr">{runs}'})
    path = tmp_path / "errors.xlsx"
    written = errors_of(book, path)
    (row,) = read_all(path.read_bytes())[1]
    assert any(name == "门槛(元)" and rule.startswith("is struck out") for name, rule, _ in told(row))
    # A person writes what is meant, and clears the format.
    names = {cell.value: cell.column for cell in written.active[1]}
    written.active.cell(2, names["品牌ID"]).value = 120344
    mended = written.active.cell(2, names["门槛(元)"])
    mended.value, mended.font = 100, Font()
    (row,) = read_all(saved(written))[1]
    assert row.spec.combine_image.normal_coupon.threshold == 10000


def test_a_struck_out_cell_comes_back_as_it_was(tmp_path):
    book = openpyxl.load_workbook(io.BytesIO(workbook(normal(品牌ID=None))))
    book.active[at("门槛(元)")].font = Font(strike=True)
    sheet = errors_of(saved(book), tmp_path / "errors.xlsx").active
    cell = next(one for one in sheet[2] if one.font.strike)
    assert (cell.value, cell.data_type) == (199.9, "n")


def test_a_title_that_excel_refuses_and_a_reason_far_to_the_right_are_written(tmp_path):
    far = (*HEADER, *[f"列{number}" for number in range(30)], "_problem", "_line")
    book = workbook((*normal(品牌ID=None), *[None] * 30, "old", "7"), header=far)
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(
                name, part.replace("优惠券".encode(), "五月/六月".encode()) if "workbook.xml" in name else part
            )
    sheet = errors_of(content.getvalue(), tmp_path / "errors.xlsx").active
    assert sheet.title == "五月_六月"
    assert [cell.value for cell in sheet[2]][-2:] == ["品牌ID: is required", "7"]


def test_a_failure_leaves_neither_half_a_file_nor_an_empty_one(tmp_path, monkeypatch):
    def fail(book, path):
        save(book, path)
        raise OSError(28, "No space left on device")

    content, save = workbook(normal(品牌ID=None)), openpyxl.Workbook.save
    monkeypatch.setattr(openpyxl.Workbook, "save", fail)
    with pytest.raises(CatalogError, match="No space left"):
        errors_of(content, tmp_path / "errors.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_is_missing_stays_missing(tmp_path):
    path = tmp_path / "errors.xlsx"
    errors_of(workbook(normal(品牌ID="=1+1")), path)
    (row,) = read_all(path.read_bytes())[1]
    assert told(row)[0][0] == "品牌ID"


def test_no_error_workbook_without_a_broken_row_and_none_in_a_folder_that_is_not_there(tmp_path):
    assert errors_of(workbook(NORMAL), tmp_path / "errors.xlsx") is None
    with pytest.raises(CatalogError, match=r"the error file .* cannot be written \(No such file or directory\)"):
        errors_of(workbook(normal(品牌ID=None)), tmp_path / "none" / "errors.xlsx")


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Rows are made as they are asked for: the first one is there long before the file is read."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(HEADER)
    for number in range(3000):
        sheet.append([f"SP-{number}", *NORMAL[1:]])
    path = tmp_path / "may.xlsx"
    book.save(path)
    with catalog.read(path) as rows:
        found = iter(rows)
        next(found)
        assert rows.good == 1
        assert rows.bytes_read < rows.size
        assert sum(1 for _ in found) == 2999
