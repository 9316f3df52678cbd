"""Catalogs: what a merchant's file becomes, what is refused, and in which words."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from couponpress import catalog, compiled_spec
from couponpress.catalog import cells, plain_rows
from couponpress.catalog import table as table_module
from couponpress.catalog.csv_records import BadText, records
from couponpress.catalog.plain_rows import PlainRows
from couponpress.compiled_spec import SpecChecker
from couponpress.errors import CatalogError
from couponpress.ledger.chunks import identified_in
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec
from couponpress_worker.demo.fleet import sample_catalog
from tests.examples import examples

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"
BOM = b"\xef\xbb\xbf"
COMBINE = '"combine_image": {"scope": "ALL", "type": "NORMAL", "usage_mode": "SINGLE", "normal_coupon": {%s}}'
GOOD_LINE = (
    '{"row_id": "a", "brand_id": "1", "image_generation_type": "COMBINE_IMAGE", '
    + COMBINE % '"threshold": 100, "discount_amount": 1'
    + "}"
)


def stream(text):
    return io.BytesIO(text if isinstance(text, bytes) else text.encode())


def read_all(text, kind="csv", **options):
    with catalog.read(stream(text), format=kind, **options) as rows:
        return rows, list(rows)


def only(text, kind="csv", **options):
    _, found = read_all(text, kind, **options)
    assert len(found) == 1
    return found[0]


def sent(row):
    """What goes on the wire, without the task id, and the row id."""
    identified = row.spec.identified("run")
    body = json.loads(identified.body())
    del body["task_id"]
    return identified.row_id, body


def told(row):
    assert isinstance(row, catalog.BrokenRow), row
    return [(problem.field, problem.rule, problem.value) for problem in row.problems]


def table(header, *lines):
    out = io.StringIO()
    csv.writer(out).writerows([header, *lines])
    return out.getvalue()


# --- cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("199.9", 19990),
        ("199.90", 19990),
        ("0", 0),
        ("0.01", 1),
        ("0.29", 29),  # 0.29 * 100 is 28.999999999999996 in binary
        ("1,299.00", 129900),
        ("12,345,678", 1234567800),
        ("1299", 129900),
        ("¥5", 500),
        ("￥ 5.5", 550),
        ("５９．９", 5990),
        ("1，299元", 129900),
        ("5 元", 500),
        ("RMB 12", 1200),
        ("cny12.30", 1230),
        (" 20 ", 2000),
        ("人民币100", 10000),
        ("人民币 100 元", 10000),
        ("100人民币", 10000),
        ("100圆", 10000),
        ("100元整", 10000),
        ("100块", 10000),
        ("CN¥1,299.50", 129950),
        ("¥100RMB", 10000),
        ("１２３．５０元", 12350),
    ],
)
def test_yuan_become_exact_cents(text, value):
    assert cells.yuan(text) == value


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("199.999", "at most two decimals"),
        ("199.900", "at most two decimals"),
        ("1,29", "amount in yuan"),
        ("1,2999", "amount in yuan"),
        (",299", "amount in yuan"),
        ("1.299,00", "amount in yuan"),
        ("-5", "amount in yuan"),
        ("+5", "amount in yuan"),
        ("1e3", "amount in yuan"),
        ("5.", "amount in yuan"),
        (".5", "amount in yuan"),
        ("5 6", "amount in yuan"),
        ("$5", "amount in yuan"),
        ("5美元", "amount in yuan"),
        ("面议", "amount in yuan"),
        ("٥", "amount in yuan"),
        ("9" * 5000, "amount in yuan"),
        ("10²", "amount in yuan"),
        ("050", "amount in yuan"),
        ("000", "amount in yuan"),
        ("0,199", "amount in yuan"),
        ("①", "amount in yuan"),
        ("½", "amount in yuan"),
        ("⒈5", "amount in yuan"),
        ("一百", "amount in yuan"),
        ("壹佰元整", "amount in yuan"),
        ("1.5万", "amount in yuan"),
        ("1万元", "amount in yuan"),
        ("5元/张", "amount in yuan"),
        ("5元起", "amount in yuan"),
        ("满100减20", "amount in yuan"),
        ("100-20", "amount in yuan"),
        ("100/20", "amount in yuan"),
        ("US$5", "amount in yuan"),
        ("HK$5", "amount in yuan"),
        ("JP¥100", "amount in yuan"),
        ("100円", "amount in yuan"),
        ("500分", "amount in yuan"),
        ("5角", "amount in yuan"),
        ("5k", "amount in yuan"),
        ("(5)", "amount in yuan"),
        ("5-", "amount in yuan"),
        ("1 299", "amount in yuan"),
        ("1'299", "amount in yuan"),
        ("1,29,900", "amount in yuan"),
        ("199~299", "amount in yuan"),
        ("≥199", "amount in yuan"),
        ("20%", "amount in yuan"),
        ("8折", "amount in yuan"),
        ("#VALUE!", "amount in yuan"),
        ("TRUE", "amount in yuan"),
        ("nan", "amount in yuan"),
    ],
)
def test_other_spellings_of_yuan_are_refused(text, rule):
    with pytest.raises(cells.CellError, match=rule):
        cells.yuan(text)


@settings(deadline=None)
@example(amount=2**63 - 1, grouped=True, sign="￥", unit="元")
@given(
    amount=st.integers(0, 2**63 - 1),
    grouped=st.booleans(),
    sign=st.sampled_from(["", "¥", "￥", "RMB "]),
    unit=st.sampled_from(["", "元", " 元"]),
)
def test_every_amount_of_cents_survives_its_spelling_in_yuan(amount, grouped, sign, unit):
    written = Decimal(amount).scaleb(-2)
    assert cells.yuan(sign + (f"{written:,.2f}" if grouped else f"{written:.2f}") + unit) == amount
    assert cells.cents(f"{amount:,}" if grouped else str(amount)) == amount


@pytest.mark.parametrize("text", ["199.0", "199.00", "1.5", "-1", "1,00", "", "一百", "1 000"])
def test_cents_are_whole_numbers_without_a_point(text):
    with pytest.raises(cells.CellError, match="whole number of cents"):
        cells.cents(text)


@pytest.mark.parametrize("text", ["无", "无门槛", " 无门槛 "])
def test_no_threshold_is_zero(text):
    assert cells.threshold_yuan(text) == cells.threshold_cents(text) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8折", 20),
        ("8.5折", 15),
        ("8.50 折", 15),
        ("85折", 15),
        ("9.9折", 1),
        ("1折", 90),
        ("1.5折", 85),
        ("打8折", 20),
        ("八折", 20),
        ("八五折", 15),
        ("八点五折", 15),
        ("８．５折", 15),
        ("20%", 20),
        ("20.0%", 20),
        ("20% off", 20),
        ("20 %OFF", 20),
        ("２０％", 20),
        # Read well; it is the spec that refuses them.
        ("10折", 0),
        ("100% off", 100),
        ("85% off", 85),
        ("50%", 50),
    ],
)
def test_discounts_become_whole_percent_off(text, value):
    assert cells.discount(text) == cells.percent_off(text) == value


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("9.55折", "whole percent"),
        ("12.5%", "whole percent"),
        ("10.5折", "no usual discount"),
        ("120折", "no usual discount"),
        ("100折", "no usual discount"),
        ("11折", "no usual discount"),
        ("15折", "no usual discount"),
        ("一五折", "no usual discount"),
        ("0.8折", "at least 1折"),
        ("0折", "at least 1折"),
        ("0.1折", "at least 1折"),
        ("85%", re.escape("write 1.5折 or 85% off")),
        ("51%", "may mean what is paid or what is taken off"),
        ("8", "must say what it means"),
        ("0.8", "must say what it means"),
        ("8折起", "must say what it means"),
        ("-20%", "must say what it means"),
        ("折", "must say what it means"),
        ("半价", "must say what it means"),
        ("8.折", "must say what it means"),
        ("0.85", "must say what it means"),
        ("8.5", "must say what it means"),
        ("85", "must say what it means"),
        ("8,5折", "must say what it means"),
        ("十折", "must say what it means"),
        ("八十五折", "must say what it means"),
        ("零点八折", "must say what it means"),
        ("8成", "must say what it means"),
        ("8折/9折", "must say what it means"),
        ("满2件8折", "must say what it means"),
        ("㍠折", "must say what it means"),
        ("888折", "no usual discount"),
        ("99.5折", "no usual discount"),
        ("8.88折", "whole percent"),
    ],
)
def test_other_discounts_are_refused(text, rule):
    with pytest.raises(cells.CellError, match=rule):
        cells.discount(text)


@settings(deadline=None)
@given(st.integers(1, 99))
def test_every_percentage_survives_its_spellings(off):
    paid = 100 - off
    assert cells.discount(f"{off}% off") == cells.percent_off(f"{off}%") == cells.percent_off(str(off)) == off
    if off <= 50:
        assert cells.discount(f"{off}%") == off
    if paid >= 10:
        assert cells.discount(f"{Decimal(paid) / 10}折") == off
    if paid >= 20:
        assert cells.discount(f"{paid}折") == off


def test_letters_that_nobody_sees_are_no_part_of_an_amount_or_a_header():
    assert cells.yuan("\u200b199.9\ufeff") == 19990
    assert cells.discount("8\u2060折") == 20
    content = "\u200b品牌ID,\u200e商品图\ufeff\n120344,https://wxpaylogo.qpic.cn/a.jpg\n"
    with catalog.read(io.BytesIO(content.encode()), format="csv") as rows:
        assert [row.spec.brand_id for row in rows] == ["120344"]


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("type", "满减券", "NORMAL"),
        ("type", "折扣券", "DISCOUNT"),
        ("type", "兑换券", "EXCHANGE"),
        ("type", "normal", "NORMAL"),
        ("scope", "全场", "ALL"),
        ("scope", "单品", "SINGLE"),
        ("scope", "品类", "CATEGORY"),
        ("image_generation_type", "拼图", "COMBINE_IMAGE"),
        ("image_generation_type", "抠图", "CUT_OUT"),
        ("image_generation_type", "cut-out", "CUT_OUT"),
        ("usage_mode", "单券", "SINGLE"),
        ("usage_mode", "多次优惠", "PROGRESSIVE_BUNDLE"),
        ("usage_mode", "progressive bundle", "PROGRESSIVE_BUNDLE"),
        ("scope", " 全场 ", "ALL"),
        ("scope", "半场", "半场"),
    ],
)
def test_a_merchants_words(field, text, value):
    assert cells.word(field, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#ff5733", "#ff5733"),
        ("#FF5733", "#FF5733"),
        ("ff5733", "#ff5733"),
        ("FF5733", "#FF5733"),
        ("＃ｆｆ５７３３", "#ff5733"),
        ("#F53", "#ff5533"),
        ("f53", "#ff5533"),
        ("#255", "#225555"),
        ("255", "255"),  # may be what is left of 000255
        ("255000", "#255000"),
        ("rgb(255, 87, 51)", "#ff5733"),
        ("RGB(255，87，51)", "#ff5733"),
        ("rgb(255 87 51)", "#ff5733"),
        ("红", "#ff0000"),
        ("红色", "#ff0000"),
        ("Red", "#ff0000"),
        (" grey ", "#808080"),
        # What is not understood is left to the spec.
        ("rgb(256, 0, 0)", "rgb(256, 0, 0)"),
        ("rgb(2550, 0, 0)", "rgb(2550, 0, 0)"),
        ("#ff57", "#ff57"),
        ("彩虹色", "彩虹色"),
        ("色", "色"),
        ("Color010", "Color010"),
    ],
)
def test_colours_in_the_usual_spellings(text, value):
    assert cells.color(text) == value


# --- CSV rows --------------------------------------------------------------------------------------------------------

HEADER = (
    "行号",
    "品牌ID",
    "图片类型",
    "优惠范围",
    "券类型",
    "门槛(元)",
    "减免(元)",
    "折扣",
    "换购价(元)",
    "背景色",
    "商品图",
)
NORMAL_ROW = ("1", "120344", "拼图", "全场", "满减券", "100", "9.9", "", "", "", "")
DISCOUNT_ROW = ("2", "120344", "拼图", "全场", "折扣券", "100", "", "8折", "", "", "")
EXCHANGE_ROW = ("3", "120344", "拼图", "单品", "兑换券", "100", "", "", "1", "#ff5733", "")
CUT_OUT_ROW = ("4", "120344", "抠图", "", "", "", "", "", "", "", URL)


def row_with(row, **cells_by_column):
    return tuple(cells_by_column.get(name, cell) for name, cell in zip(HEADER, row, strict=True))


def test_each_type_sends_its_own_columns():
    rows, found = read_all(table(HEADER, NORMAL_ROW, DISCOUNT_ROW, EXCHANGE_ROW, CUT_OUT_ROW))

    def picture(scope, kind, **more):
        combine = {"scope": scope, "type": kind, "usage_mode": "SINGLE", **more}
        return {"brand_id": "120344", "image_generation_type": "COMBINE_IMAGE", "combine_image": combine}

    assert [sent(row) for row in found] == [
        ("1", picture("ALL", "NORMAL", normal_coupon={"threshold": 10000, "discount_amount": 990})),
        ("2", picture("ALL", "DISCOUNT", discount_coupon={"threshold": 10000, "percent_off": 20})),
        (
            "3",
            picture(
                "SINGLE",
                "EXCHANGE",
                exchange_coupon={"threshold": 10000, "exchange_price": 100},
                background_color="#ff5733",
            ),
        ),
        ("4", {"brand_id": "120344", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}}),
    ]
    assert (rows.good, rows.broken, rows.unused_columns) == (4, 0, ())


def test_the_platforms_own_names_with_amounts_in_cents():
    text = (
        "row_id,task_id,brand_id,image_generation_type,scope,type,usage_mode,threshold,discount_amount,percent_off,"
        "exchange_price,background_color,image_url\n"
        "r1,task_1,1,COMBINE_IMAGE,ALL,NORMAL,PROGRESSIVE_BUNDLE,10000,990,,,,\n"
        "r2,,1,COMBINE_IMAGE,ALL,DISCOUNT,SINGLE,0,,20,,,\n"
        f"r3,,1,CUT_OUT,,,,,,,,,{URL}\n"
    )
    _, (first, second, third) = read_all(text)
    assert first.spec.task_id == "task_1"
    assert first.spec.combine_image.normal_coupon.discount_amount == 990
    assert first.spec.combine_image.usage_mode == "PROGRESSIVE_BUNDLE"
    assert second.spec.combine_image.discount_coupon.percent_off == 20
    assert third.spec.cut_out.image_url == URL


def test_headers_are_matched_whatever_their_case_blanks_and_brackets():
    row = only(
        table(
            (" Brand ID ", "IMAGE-TYPE", "Scope", "Coupon Type", "门槛（元）", "减免 （元）"),
            ("1", "拼图", "全场", "满减券", "1", "1"),
        )
    )
    assert row.spec.combine_image.normal_coupon.threshold == 100


@pytest.mark.parametrize(
    ("row", "problems"),
    [
        (row_with(NORMAL_ROW, 品牌ID=""), [("品牌ID", "is required", None)]),
        (row_with(NORMAL_ROW, 品牌ID="茶 馆"), [("品牌ID", "must be digits, letters, _ or -", "茶 馆")]),
        (row_with(NORMAL_ROW, 图片类型=""), [("图片类型", "is required", None)]),
        (row_with(NORMAL_ROW, 图片类型="海报"), [("图片类型", "must be 'COMBINE_IMAGE' or 'CUT_OUT'", "海报")]),
        (row_with(NORMAL_ROW, 优惠范围=""), [("优惠范围", "is required", None)]),
        (row_with(NORMAL_ROW, 优惠范围="半场"), [("优惠范围", "must be 'ALL', 'SINGLE' or 'CATEGORY'", "半场")]),
        (row_with(NORMAL_ROW, 券类型="赠券"), [("券类型", "must be 'NORMAL', 'DISCOUNT' or 'EXCHANGE'", "赠券")]),
        (row_with(NORMAL_ROW, **{"门槛(元)": ""}), [("门槛(元)", "is required", None)]),
        (row_with(NORMAL_ROW, **{"减免(元)": "100.01"}), [("减免(元)", "must not exceed the threshold", "100.01")]),
        (row_with(NORMAL_ROW, **{"减免(元)": "0"}), [("减免(元)", "must be greater than or equal to 1", "0")]),
        (
            row_with(NORMAL_ROW, **{"减免(元)": "9.999"}),
            [("减免(元)", "must have at most two decimals, for the smallest amount is one cent (分)", "9.999")],
        ),
        (
            row_with(DISCOUNT_ROW, 折扣="9.55折"),
            [("折扣", "must come to whole percent off, for example 8.5折 (15 percent off)", "9.55折")],
        ),
        (row_with(DISCOUNT_ROW, 折扣="10折"), [("折扣", "must be greater than or equal to 1", "10折")]),
        (row_with(EXCHANGE_ROW, **{"换购价(元)": ""}), [("换购价(元)", "is required", None)]),
        (
            row_with(EXCHANGE_ROW, 背景色="彩虹"),
            [("背景色", "must be # and six hex digits, for example #ff5733", "彩虹")],
        ),
        (row_with(CUT_OUT_ROW, 商品图=""), [("商品图", "is required", None)]),
        (
            row_with(CUT_OUT_ROW, 商品图="https://example.com/x.png"),
            [("商品图", "must be a picture stored on https://wxpaylogo.qpic.cn/", "https://example.com/x.png")],
        ),
        (row_with(NORMAL_ROW, 行号="x" * 201), [("行号", "must have at most 200 characters", "x" * 201)]),
        (
            row_with(NORMAL_ROW, 品牌ID="", 优惠范围="半场", 背景色="彩虹", **{"门槛(元)": "贵", "减免(元)": ""}),
            [
                ("门槛(元)", "must be an amount in yuan (元), for example 199.90", "贵"),
                ("品牌ID", "is required", None),
                ("优惠范围", "must be 'ALL', 'SINGLE' or 'CATEGORY'", "半场"),
                ("减免(元)", "is required", None),
                ("背景色", "must be # and six hex digits, for example #ff5733", "彩虹"),
            ],
        ),
    ],
)
def test_a_broken_row_names_its_column_the_rule_and_the_cell(row, problems):
    # A good row of the same kind goes before: what was learnt from it must not hide the fault.
    twin = {"满减券": NORMAL_ROW, "折扣券": DISCOUNT_ROW, "兑换券": EXCHANGE_ROW, "": CUT_OUT_ROW}.get(
        row[4], NORMAL_ROW
    )
    rows, found = read_all(table(HEADER, twin, row, twin))
    assert told(found[1]) == problems
    assert (rows.good, rows.broken) == (2, 1)
    assert found[1].line == 3
    assert found[1].given == list(row)


def test_a_missing_column_is_called_by_the_fields_own_name():
    assert told(only(table(("brand_id", "image_url", "券类型"), ("1", "", "满减券")))) == [
        ("scope", "is required", None),
        ("threshold", "is required", None),
        ("discount_amount", "is required", None),
    ]


def test_what_stands_in_another_types_column_is_noted_and_counted():
    stray = row_with(NORMAL_ROW, 折扣="8折", 商品图=URL)
    rows, found = read_all(table(HEADER, stray, stray, row_with(CUT_OUT_ROW, 优惠范围="全场")))
    assert sent(found[0]) == sent(only(table(HEADER, NORMAL_ROW)))
    assert rows.notes == {
        "折扣: not sent, it has no place in a NORMAL row": 2,
        "商品图: not sent, it has no place in a NORMAL row": 2,
        "优惠范围: not sent, it has no place in a CUT_OUT row": 1,
    }


def test_strict_refuses_what_is_otherwise_noted():
    stray = row_with(NORMAL_ROW, 折扣="8折", 商品图=URL)
    exchange = row_with(EXCHANGE_ROW, 优惠范围="全场")
    _, found = read_all(table(HEADER, NORMAL_ROW, stray, exchange), strict=True)
    assert isinstance(found[0], catalog.Row)
    assert told(found[1]) == [
        ("折扣", "has no place in a NORMAL row", "8折"),
        ("商品图", "has no place in a NORMAL row", URL),
    ]
    assert told(found[2]) == [("优惠范围", "an EXCHANGE coupon is known for scope SINGLE only", "全场")]


def test_a_doubt_is_noted_under_the_columns_name():
    rows, _ = read_all(table(HEADER, row_with(NORMAL_ROW, 优惠范围="单品")))
    assert [note.partition(":")[0] for note in rows.notes] == ["优惠范围"]


def test_without_a_picture_column_a_lone_photo_is_a_cut_out():
    header = ("brand_id", "scope", "type", "threshold", "percent_off", "background_color", "image_url")
    _, found = read_all(
        table(
            header,
            ("1", "", "", "", "", "", URL),
            ("1", "ALL", "DISCOUNT", "0", "20", "", ""),
            ("1", "ALL", "DISCOUNT", "0", "20", "", URL),
            ("1", "", "", "", "", "#ff5733", URL),
            ("1", "", "", "", "", "", ""),
        )
    )
    assert [row.spec.image_generation_type for row in found[:3]] == ["CUT_OUT", "COMBINE_IMAGE", "COMBINE_IMAGE"]
    assert found[2].notes == ("image_url: not sent, it has no place in a DISCOUNT row",)
    assert [problem.field for problem in found[3].problems] == [problem.field for problem in found[4].problems]
    assert [problem.field for problem in found[4].problems] == ["scope", "type"]


def test_a_usage_mode_column_is_taken_at_its_word():
    header = ("brand_id", "scope", "type", "threshold", "percent_off", "使用模式")
    _, found = read_all(
        table(header, ("1", "ALL", "DISCOUNT", "0", "20", "多次优惠"), ("1", "ALL", "DISCOUNT", "0", "20", ""))
    )
    assert found[0].spec.combine_image.usage_mode == "PROGRESSIVE_BUNDLE"
    assert told(found[1]) == [("使用模式", "is required", None)]


def test_columns_that_are_not_sent_are_listed():
    rows, _ = read_all(table(("券名称", "brand_id", "image_url", "", "库存", "库存"), ("x", "1", URL, "y", "5", "6")))
    assert rows.unused_columns == ("券名称", "库存", "库存")


def test_row_ids_own_line_or_task_id():
    header = ("row_id", "task_id", "brand_id", "image_url")
    lines = [("own", "", "1", URL), ("", "", "1", URL), ("", "task_1", "1", URL), ("own", "task_2", "1", URL)]
    _, found = read_all(table(header, *lines))
    assert [row.spec.row_id for row in found] == ["own", "3", None, "own"]
    assert [row.spec.identified("run").row_id for row in found] == ["own", "3", "task_1", "own"]
    _, found = read_all(table(header, *lines), row_prefix="may:")
    assert [row.spec.row_id for row in found] == ["own", "may:3", None, "own"]


@pytest.mark.parametrize(
    ("origins", "prefixes"),
    [
        ([], []),
        (["a.csv"], [""]),
        (["x/a.csv", "b.csv"], ["a:", "b:"]),
        (["x/a.csv", "y/a.csv", "b.csv"], ["x/a.csv:", "y/a.csv:", "b:"]),
        ([Path("a.csv"), "a.jsonl"], ["a.csv:", "a.jsonl:"]),
    ],
)
def test_line_numbers_of_several_files_do_not_meet(origins, prefixes):
    assert catalog.row_prefixes(origins) == prefixes


def test_short_rows_are_filled_and_long_ones_refused():
    header = "brand_id,image_url,note\n"
    assert sent(only(header + f"1,{URL}\n"))[1]["cut_out"] == {"image_url": URL}
    assert sent(only(header + f"1,{URL},x,,\n"))[1]["cut_out"] == {"image_url": URL}
    row = only(header + f"1,{URL},1,299.00\n")
    rule = "has 4 cells under a header of 3 columns; a number with a comma needs quotes around it"
    assert told(row) == [("row", rule, None)]


def test_lines_are_counted_where_records_begin():
    text = (
        '\r\nname,brand_id,image_url\r\n"two\r\nlines",1,' + URL + "\r\n\r\n,,\r\n"
        '"three\n\nlines",,' + URL + "\rlone CR,1," + URL + "\n"
    )
    _, found = read_all(text)
    assert [row.line for row in found] == [3, 7, 10]
    assert isinstance(found[1], catalog.BrokenRow)


def test_a_quote_that_does_not_close_costs_one_line():
    lines = ["name,brand_id,image_url", f"a,1,{URL}", f'"5 cake,1,{URL}', f"b,1,{URL}", f'"x"y,1,{URL}', f'"c",1,{URL}']
    _, found = read_all("\n".join(lines))
    assert [(type(row).__name__, row.line) for row in found] == [
        ("Row", 2),
        ("BrokenRow", 3),
        ("Row", 4),
        ("BrokenRow", 5),
        ("Row", 6),
    ]
    assert "has a quote that does not close" in told(found[1])[0][1]
    assert (found[1].given, found[1].default_row_id) == (lines[2] + "\n", "3")


def test_an_open_quote_in_a_long_file_does_not_swallow_it():
    rest = 5000
    text = "brand_id,image_url\n" + f'1,"{URL}\n' + f"1,{URL}\n" * rest
    rows, _ = read_all(text)
    assert (rows.good, rows.broken) == (rest, 1)


printable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(deadline=None)
@given(st.lists(st.lists(printable, min_size=1, max_size=4), max_size=8))
def test_records_are_what_a_csv_writer_wrote_on_the_lines_where_it_wrote_them(written):
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    expected = []
    for line_cells in written:
        begins = len(io.StringIO(out.getvalue(), newline="").readlines()) + 1
        writer.writerow(line_cells)
        if any(line_cells):
            expected.append((begins, line_cells))
    assert list(records(io.StringIO(out.getvalue(), newline=""))) == expected


@given(st.lists(st.tuples(st.text("ab,;\t\0 茶\u2028"), st.sampled_from(["\n", "\r\n", "\r", ""])).map("".join)))
def test_lines_without_quotes_are_the_records_of_the_csv_module(lines):
    expected = [(line, found) for line, found in enumerate(csv.reader(lines, strict=True), 1) if any(found)]
    assert list(records(lines)) == expected


@pytest.mark.parametrize("odd", ["a\rb\n", "a\nb\n", f"{'a' * (1 << 24)}a,b\n"])
def test_a_line_that_is_odd_costs_only_itself(odd):
    first, second, third = records(["1,2\n", odd, "3,4\n"])
    assert (first, third) == ((1, ["1", "2"]), (3, ["3", "4"]))
    assert second[0] == 2
    assert isinstance(second[1], BadText)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a,b", '"a,b', 'a",b', '"a""b"', '"x"y', '"', ""]), max_size=12))
def test_whatever_the_quotes_no_line_is_lost_and_none_is_counted_twice(lines):
    begun = [line for line, _ in records(text + "\n" for text in lines)]
    assert begun == sorted(set(begun))
    assert all(1 <= line <= len(lines) for line in begun)
    broken = {line for line, found in records(text + "\n" for text in lines) if isinstance(found, BadText)}
    assert all('"' in lines[line - 1] for line in broken)


good_rows = st.sampled_from([NORMAL_ROW, DISCOUNT_ROW, EXCHANGE_ROW, CUT_OUT_ROW])
odd_cells = st.sampled_from(
    ["", " ", "1", "8折", "100", "9.999", "全场", "拼图", "抠图", "折扣券", "#ff5733", URL, "120344"]
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(good_rows, st.dictionaries(st.sampled_from(HEADER), odd_cells, max_size=2)), min_size=1, max_size=12
    ),
    st.booleans(),
)
def test_what_was_learnt_from_earlier_rows_changes_nothing(choices, strict):
    lines = [row_with(row, **changes) for row, changes in choices]
    _, together = read_all(table(HEADER, *lines), strict=strict)
    alone = [only(table(HEADER, line), strict=strict) for line in lines]

    def essence(row):
        return (row.problems if isinstance(row, catalog.BrokenRow) else (row.spec, row.notes)), row.given

    # A row without an id of its own is known by its line, which is another one when it stands alone.
    for found, expected, line in zip(together, alone, lines, strict=True):
        if line[0].strip() or isinstance(expected, catalog.BrokenRow):
            assert essence(found) == essence(expected)
        else:
            assert found.spec.model_copy(update={"row_id": "2"}) == expected.spec


# --- what was learnt, against the slow way ---------------------------------------------------------------------------

OWN_NAMES = (
    "row_id", "task_id", "brand_id", "image_generation_type", "scope", "type", "usage_mode", "threshold",
    "discount_amount", "percent_off", "exchange_price", "background_color", "image_url", "_line",
)  # fmt: skip
KINDS = (
    {"image_generation_type": "COMBINE_IMAGE", "scope": "ALL", "type": "NORMAL", "usage_mode": "SINGLE",
     "threshold": "100", "discount_amount": "9"},
    {"image_generation_type": "拼图", "scope": "CATEGORY", "type": "折扣券", "usage_mode": "多次优惠",
     "threshold": "无门槛", "percent_off": "8折", "background_color": "#ff5733"},
    {"image_generation_type": "COMBINE_IMAGE", "scope": "SINGLE", "type": "EXCHANGE", "usage_mode": "SINGLE",
     "threshold": "1", "exchange_price": "0"},
    {"image_generation_type": "CUT_OUT"},
)  # fmt: skip
PICTURES = (URL, URL + "?a=1&b=<'%7E~>", URL + '"', URL + "\\", URL + "\\u0041", URL + " x", URL + "茶", URL + "\x7f",
            "https://wxpaylogo.qpic.cn/", "http://x/y.png", URL + "x" * 1000, "")  # fmt: skip
OWN_VALUES = {
    "brand_id": ("1", "120344", "B_-9", "b" * 64, "b" * 65, "茶", 'a"b', "", " 1 "),
    "task_id": ("", "", "task-1", "t" * 5, "t" * 40, "t" * 41, "task 1", 'task"1', "任务任务任务"),
    "row_id": ("", "7", ' 茶\\"/7', "r" * 200, "r" * 201, "茶·馆"),
    "image_url": PICTURES,
    "_line": ("", "", "may:3", "l" * 201),
}
OFFER_VALUES = ("", "1", "10", "0", "NORMAL", "折扣券", "SINGLE", "CUT_OUT", "#ff5733", "#FF573", "x")


def mostly(values):
    return st.sampled_from([values[0]] * len(values) + list(values))


table_rows = st.builds(
    lambda kind, own, strange: {**kind, **own, **strange},
    st.sampled_from(KINDS),
    st.fixed_dictionaries({name: mostly(values) for name, values in OWN_VALUES.items()}),
    st.just({}) | st.dictionaries(st.sampled_from(OWN_NAMES[3:12]), st.sampled_from(OFFER_VALUES), max_size=1),
)
json_kinds = st.sampled_from(
    [
        {"image_generation_type": "CUT_OUT"},
        json.loads(GOOD_LINE.replace('"row_id": "a", "brand_id": "1", ', "")),
        json.loads(GOOD_LINE.replace('"row_id": "a", "brand_id": "1", ', "").replace(": 100", ": 100.0")),
        json.loads(GOOD_LINE.replace('"row_id": "a", "brand_id": "1", ', "").replace(": 1}", ": true}")),
    ]
)
json_pictures = st.sampled_from(
    [{"image_url": url} for url in PICTURES] * 2 + [None, {}, "a picture", {"image_url": 1}, {"image_url": URL, "x": 1}]
)
json_rows = st.builds(
    lambda kind, own, picture: {
        **{name: value for name, value in own.items() if value != ""},
        **kind,
        **({"cut_out": picture} if picture is not None or kind == {"image_generation_type": "CUT_OUT"} else {}),
    },
    json_kinds,
    st.fixed_dictionaries(
        {name: mostly((*OWN_VALUES[name], None, 1, ["1"], "\ud800")) for name in ("brand_id", "task_id", "row_id")}
        | {"name": mostly(("", "", "x"))}
    ),
    json_pictures,
)


def on_the_slow_way(text, kind, **options):
    """Read a catalog by the model alone; gives the specs of its good rows too, as they were checked."""
    specs = []

    def serialized(spec):
        specs.append(spec)
        return of(spec)

    of = SerializedSpec.of
    refused = {"of_json": lambda *_: None, "of_fields": lambda *_: None}
    with patch.multiple(SpecChecker, **refused), patch.object(SerializedSpec, "of", serialized):
        return *read_all(text, kind, **options), specs


def essence(row):
    if isinstance(row, catalog.BrokenRow):
        return row
    return row.line, row.given, row.serialized_spec, row.notes, row.default_row_id


def assert_the_same(text, kind, strict):
    rows, found = read_all(text, kind, strict=strict)
    slow_rows, slowly, specs = on_the_slow_way(text, kind, strict=strict)
    assert [essence(row) for row in found] == [essence(row) for row in slowly]
    assert (rows.good, rows.broken, rows.notes) == (slow_rows.good, slow_rows.broken, slow_rows.notes)
    good = [row for row in found if isinstance(row, catalog.Row)]
    for row, spec in zip(good, specs, strict=True):
        expected = spec.identified("run")
        stored = identified_in("run")(row.serialized_spec)
        assert (stored.task_id, stored.row.row_id) == (expected.task_id, expected.row_id)
        assert stored.row.body == expected.body()
        assert row.spec == spec


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(table_rows, min_size=1, max_size=25), st.booleans())
def test_a_table_is_read_as_on_the_slow_way_byte_for_byte(lines, strict):
    assert_the_same(table(OWN_NAMES, *([line.get(name, "") for name in OWN_NAMES] for line in lines)), "csv", strict)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(json_rows, min_size=1, max_size=25), st.booleans())
def test_jsonl_is_read_as_on_the_slow_way_byte_for_byte(lines, strict):
    assert_the_same("\n".join(json.dumps(line) for line in lines), "jsonl", strict)


def each_value_once(kinds, names):
    """Rows of each kind: a good one, from which something is learnt, then each value of each own column."""
    for kind in kinds:
        good = {**kind, "brand_id": "1", "image_url": URL}
        yield good
        yield from ({**good, name: value} for name in names for value in OWN_VALUES[name])


@pytest.mark.parametrize("strict", [False, True])
def test_every_own_value_is_read_as_on_the_slow_way_byte_for_byte(strict):
    lines = [[row.get(name, "") for name in OWN_NAMES] for row in each_value_once(KINDS, OWN_VALUES)]
    assert_the_same(table(OWN_NAMES, *lines), "csv", strict)
    lines = list(each_value_once(({"image_generation_type": "CUT_OUT"},), ("brand_id", "task_id", "row_id")))
    lines += each_value_once(({"image_generation_type": "CUT_OUT"},), ("image_url",))
    lines = [{**line, "cut_out": {"image_url": line.pop("image_url")}} for line in lines]
    assert_the_same("\n".join(json.dumps(line) for line in lines), "jsonl", strict)


@pytest.mark.parametrize("strict", [False, True])
def test_a_merchants_catalog_is_read_as_on_the_slow_way_byte_for_byte(tmp_path, strict):
    sample_catalog.write(tmp_path / "sample.csv", rows=3000, broken=100)
    assert_the_same((tmp_path / "sample.csv").read_bytes(), "csv", strict)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_plain_row_needs_no_model(kind):
    picture = {"brand_id": "1", "image_generation_type": "CUT_OUT"}
    urls = [f"{URL}?{number}" for number in range(100)]
    lines = {
        "csv": "brand_id,image_url\n" + "".join(f"1,{url}\n" for url in urls),
        "jsonl": "".join(json.dumps({**picture, "cut_out": {"image_url": url}}) + "\n" for url in urls),
    }
    with patch.object(TaskSpec, "parse", wraps=TaskSpec.parse) as parse:
        _, found = read_all(lines[kind], kind)
    assert parse.call_count == 0
    assert [row.spec.cut_out.image_url for row in found] == urls


def test_a_merchants_catalog_needs_no_model(tmp_path):
    """Words of every kind, amounts in yuan, 折, colours, pictures: what `plain_rows` is for."""
    sample_catalog.write(tmp_path / "sample.csv", rows=1000, broken=0)
    with patch.object(TaskSpec, "parse", wraps=TaskSpec.parse) as parse:
        rows, _ = read_all((tmp_path / "sample.csv").read_bytes())
    assert (rows.good, parse.call_count) == (1000, 0)


def test_a_picture_beside_an_offer_is_noted_without_the_model():
    header = "brand_id,scope,type,threshold,percent_off,image_url\n"
    text = header + "".join(f"1,ALL,DISCOUNT,{number},1,{URL}\n" for number in range(10))
    with patch.object(TaskSpec, "parse", wraps=TaskSpec.parse) as parse:
        rows, _ = read_all(text)
    assert (rows.good, parse.call_count) == (10, 0)
    assert rows.notes == {"image_url: not sent, it has no place in a DISCOUNT row": 10}
    assert_the_same(text, "csv", strict=False)
    assert_the_same(text, "csv", strict=True)


def test_a_picture_that_may_be_the_end_of_an_amount_is_read_by_the_model():
    text = "brand_id,scope,type,percent_off,threshold,image_url\n1,ALL,DISCOUNT,1,1,299\n1,ALL,DISCOUNT,1,1,x\n"
    assert_the_same(text, "csv", strict=False)
    assert [row.problems[0].field for row in read_all(text)[1][:1]] == ["image_url"]


@pytest.mark.parametrize("different", ["brand", "words"])
def test_what_is_remembered_is_bounded_and_may_be_forgotten(different, monkeypatch):
    monkeypatch.setattr(compiled_spec, "_REMEMBERED", 3)
    monkeypatch.setattr(plain_rows, "_REMEMBERED", 3)
    header = "brand_id,scope,type,threshold,percent_off\n"
    spellings = ["1"] * 10 if different == "words" else list(map(str, range(10)))
    lines = [f"{brand},{' ' * (number if different == 'words' else 0)}ALL,DISCOUNT,{number},1\n"
             for number, brand in enumerate(spellings)]  # fmt: skip
    made = []

    def kept(*arguments, **options):
        made.append(PlainRows(*arguments, **options))
        return made[-1]

    with patch.object(table_module, "PlainRows", kept):
        assert_the_same(header + "".join(lines * 2), "csv", strict=False)
    assert 0 < len(made[0]._shapes) <= 3
    assert 0 < len(made[0]._checker._heads) <= 3


# --- JSONL -----------------------------------------------------------------------------------------------------------


def test_jsonl_bodies_are_taken_as_they_are():
    row = only(GOOD_LINE, "jsonl")
    expected = json.loads(GOOD_LINE)
    row_id = expected.pop("row_id")
    assert sent(row) == (row_id, expected)
    assert (row.line, row.given) == (1, json.loads(GOOD_LINE))


def test_jsonl_row_ids():
    body = {"brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}}
    lines = [body, {**body, "row_id": "own"}, {**body, "task_id": "task_1"}, {**body, "row_id": None}]
    text = "\n\n".join(json.dumps(line) for line in lines)
    _, found = read_all(text, "jsonl", row_prefix="may:")
    assert [row.spec.row_id for row in found] == ["may:1", "own", None, "may:7"]


@pytest.mark.parametrize(
    ("line", "field", "rule"),
    [
        ("[1]", "row", "is not a JSON object"),
        ('"text"', "row", "is not a JSON object"),
        ("brand_id,1", "row", "is not JSON: Expecting value at character 1"),
        ('{"brand_id": "1"', "row", "is not JSON"),
        ('{"brand_id": "1"} {}', "row", "holds more than one JSON object"),
        ("{'brand_id': '1'}", "row", "is not JSON"),
        ('{"brand_id": NaN}', "row", "is not JSON: there is no NaN"),
        ("[" * 100_000, "row", "is not JSON that can be read"),
        ('{"brand_id": ' + "9" * 5000 + "}", "row", "is not JSON that can be read"),
        ('{"brand_id": "1", "brand_id": "2"}', "row", "has the key 'brand_id' twice"),
        (GOOD_LINE.replace('"scope": "ALL"', '"scope": "ALL", "scope": "ALL"'), "row", "has the key 'scope' twice"),
        (GOOD_LINE.replace(": 100", ": 100.0"), "combine_image.normal_coupon.threshold", "must be a valid integer"),
        (GOOD_LINE.replace(": 100", ": 1e2"), "combine_image.normal_coupon.threshold", "must be a valid integer"),
        (GOOD_LINE.replace(": 100", ': "100"'), "combine_image.normal_coupon.threshold", "must be a valid integer"),
        (
            GOOD_LINE.replace(": 1}", ": true}"),
            "combine_image.normal_coupon.discount_amount",
            "must be a valid integer",
        ),
        (GOOD_LINE.replace('"row_id"', '"name"'), "name", "is not a field of this request"),
        (GOOD_LINE.replace('"brand_id": "1", ', ""), "brand_id", "is required"),
        (GOOD_LINE.replace('"a"', "7"), "row_id", "must be a valid string"),
    ],
    ids=lambda case: str(case)[-40:],
)
def test_a_broken_line_is_told_with_its_number(line, field, rule):
    # Again, what was learnt from a good twin must not hide the fault.
    rows, found = read_all(f"{GOOD_LINE}\n\n{line}\n{GOOD_LINE}\n", "jsonl")
    assert [type(row).__name__ for row in found] == ["Row", "BrokenRow", "Row"]
    assert found[1].line == 3
    ((told_field, told_rule, _),) = told(found[1])
    assert (told_field, told_rule[: len(rule)]) == (field, rule)
    assert (rows.good, rows.broken) == (2, 1)


def test_jsonl_objects_that_do_not_belong_are_noted_or_refused():
    stray = GOOD_LINE[:-1] + ', "cut_out": {"image_url": "x"}}'
    text = "\n".join([GOOD_LINE, stray] * 2)
    rows, found = read_all(text, "jsonl")
    assert [row.notes for row in found] == [(), ("cut_out: left out, it has no place here",)] * 2
    assert rows.notes == {"cut_out: left out, it has no place here": 2}
    assert sent(found[1]) == sent(found[0])
    _, found = read_all(text, "jsonl", strict=True)
    assert told(found[1]) == [("cut_out", "has no place here", None)]


def test_a_jsonl_line_ends_at_its_line_feed_only():
    row = only(GOOD_LINE.replace('"a"', '"a", "_message": "a\u2028b\u0085c"') + "\r\n", "jsonl")
    assert row.spec.row_id == "a"


# --- the file as a whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [b"", BOM])
def test_the_byte_order_mark_is_known_and_not_read(mark):
    rows, found = read_all(mark + table(HEADER, NORMAL_ROW).encode())
    assert rows.bom is bool(mark)
    assert found[0].spec.row_id == "1"
    rows, found = read_all(mark + GOOD_LINE.encode(), "jsonl")
    assert (rows.bom, found[0].spec.row_id) == (bool(mark), "a")


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"", "csv", "the stream is empty."),
        (BOM, "csv", "the stream is empty."),
        (b"\r\n\r\n", "csv", "the stream is empty."),
        (b"", "jsonl", "the stream is empty."),
        (b"\n \n", "jsonl", "the stream is empty."),
        (
            f"\n{','.join(HEADER)}\n\n,,\n",
            "csv",
            "the stream has a header on line 2 and no row below it; nothing can be",
        ),
        (
            b"\xff\xff\n",
            "csv",
            "is not UTF-8 text (line 1 holds bytes that are no letter of it); mend that line",
        ),
        ('[\n{"row_id": 1}\n]', "jsonl", "is a JSON array; write each of its objects on one line"),
        ('[{"row_id": 1}]', "jsonl", "is a JSON array"),
        ('{\n"row_id": 1\n}', "jsonl", "is JSON over several lines"),
        (GOOD_LINE.replace('"a"', '"茶"').encode("gb18030"), "jsonl", "is not UTF-8 text"),
        (b"PK\x03\x04\x14\x00\x06\x00\xff\xfe", "csv", "is a workbook and no text; give it the suffix .xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xlsx", "is an old .xls, or has a password; save it in Excel as .xlsx"),
        (b"brand_id,image_url\n", "xlsx", "is text and no workbook; give it the suffix .csv"),
        (b"a,b\n1,2\n", "csv", "missing columns: brand_id (品牌ID); for head pictures scope (优惠范围), type (券类型)"),
        (b"image_url\nx\n", "csv", "missing columns: brand_id (品牌ID). "),
        (
            "品牌ID,优惠范围,券类型,门槛(元)\n".encode(),
            "csv",
            "for head pictures one of discount_amount (减免(元)), percent_off (折扣), exchange_price (换购价(元)), or",
        ),
        (b'"brand_id,image_url\n1,x\n', "csv", "the header has a quote that does not close"),
        (
            "品牌ID,brand_id,image_url\n".encode(),
            "csv",
            "the columns '品牌ID' and 'brand_id' both mean brand_id; remove one of them",
        ),
        (
            "brand_id,threshold,门槛(元),image_url\n".encode(),
            "csv",
            "the columns 'threshold' and '门槛(元)' both mean threshold",
        ),
        (b"brand_id,image_url\n", "xls", "there is no catalog format 'xls'; the formats are csv, jsonl, xlsx."),
        (b"brand_id,image_url\n", None, "cannot be told by its name; add --format csv, --format jsonl, --format xlsx."),
    ],
)
def test_a_catalog_that_cannot_be_read_gets_one_sentence(content, kind, sentence):
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        read_all(content, kind)


def test_text_that_turns_bad_later_is_told_with_the_last_good_line():
    good = f"1,{URL}\n".encode()
    with pytest.raises(CatalogError, match=r"is not UTF-8 text \(line 3002 holds"):
        read_all(b"brand_id,image_url\n" + good * 3000 + b"\xff\n")


def test_a_stream_that_was_given_stays_open():
    given = stream(table(HEADER, NORMAL_ROW))
    with catalog.read(given, format="csv") as rows:
        list(rows)
    assert not given.closed


def test_standard_input_needs_a_format(monkeypatch):
    class StandardInput:
        buffer = stream(GOOD_LINE)

    monkeypatch.setattr("sys.stdin", StandardInput)
    with pytest.raises(CatalogError, match="the format of standard input cannot be told"):
        catalog.read("-")
    with catalog.read("-", format="jsonl") as rows:
        assert [row.spec.row_id for row in rows] == ["a"]
    assert (rows.name, rows.path) == ("standard input", None)


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv", ".jsonl", ".ndjson"])
def test_the_suffix_says_the_format(tmp_path, suffix):
    path = tmp_path / f"coupons{suffix}"
    path.write_text(table(HEADER, NORMAL_ROW) if suffix.lower() in {".csv", ".tsv"} else GOOD_LINE, encoding="utf-8")
    with catalog.read(path) as rows:
        assert len(list(rows)) == 1
    assert rows.path == path


def test_a_file_that_the_system_does_not_give(tmp_path):
    with pytest.raises(CatalogError, match=r"missing\.csv cannot be read \(No such file or directory\)"):
        catalog.read(tmp_path / "missing.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(CatalogError, match=r"folder\.csv cannot be read \(Is a directory\)"):
        catalog.read(str(tmp_path / "folder.csv"))


def test_memory_does_not_grow_with_the_catalog():
    """Rows are made one at a time: reading one row of an endless catalog takes one row's worth of text."""

    class Endless(io.RawIOBase):
        taken = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            text = (b"brand_id,image_url\n" if not self.taken else b"") + f"1,{URL}\n".encode() * 50
            text = text[: len(buffer)]
            buffer[: len(text)] = text
            self.taken += len(text)
            return len(text)

    endless = Endless()
    with catalog.read(io.BufferedReader(endless), format="csv") as rows:
        found = iter(rows)
        for _ in range(10_000):
            next(found)
        assert endless.taken < 10_100 * len(f"1,{URL}\n") + 100_000
        assert len(rows.notes) == 0


# --- the error file --------------------------------------------------------------------------------------------------


def errors_of(content, path, kind="csv", **options):
    """Read a catalog, write its broken rows to `path`, and return the rows."""
    with (
        catalog.read(stream(content), format=kind, **options) as rows,
        catalog.ErrorFile(path, rows) as errors,
    ):
        found = list(rows)
        for row in found:
            if isinstance(row, catalog.BrokenRow):
                errors.write(row)
        assert errors.written == rows.broken
    return found


def test_an_error_file_exists_only_if_a_row_is_broken(tmp_path):
    path = tmp_path / "errors.csv"
    errors_of(table(HEADER, NORMAL_ROW), path)
    assert not path.exists()


@pytest.mark.parametrize("mark", [b"", BOM])
def test_broken_rows_come_back_with_their_reason_and_can_be_mended(tmp_path, mark):
    path = tmp_path / "errors.csv"
    wrong = row_with(NORMAL_ROW, 行号="", 品牌ID="", 背景色="红,色\n")
    errors_of(mark + table(HEADER, NORMAL_ROW, wrong, CUT_OUT_ROW).encode(), path, row_prefix="may:")
    written = path.read_bytes()
    assert written.startswith(BOM)
    header, *lines = csv.reader(io.StringIO(written.removeprefix(BOM).decode(), newline=""))
    assert header == ["_line", "_problem", *HEADER]
    assert lines == [
        [
            "may:3",
            "品牌ID: is required; 背景色: must be # and six hex digits, for example #ff5733 (got '红,色')",
            *wrong,
        ]
    ]
    # Submitted as it is, it is broken in the same way, and its own error file has no further columns.
    again = tmp_path / "again.csv"
    errors_of(written, again)
    assert again.read_bytes() == written
    # Mended, the row keeps the id that it had in the first catalog.
    mended = written.replace(b",,\xe6", b",120344,\xe6").replace('"红,色\n"'.encode(), b"#ff5733")
    rows, (row,) = read_all(mended)
    assert sent(row)[0] == "may:3"
    assert row.spec.combine_image.background_color == "#ff5733"
    assert rows.unused_columns == ()


def test_lines_with_bad_quotes_and_too_many_cells_come_back_as_they_were(tmp_path):
    path = tmp_path / "errors.csv"
    bad = ['"5 cake,1,' + URL, f"a,1,{URL},x"]
    errors_of("\n".join(["name,brand_id,image_url", *bad, f"b,1,{URL}"]), path)
    header, first, second = path.read_text("utf-8-sig").splitlines()
    assert header == "_line,_problem,name,brand_id,image_url"
    assert first.startswith("2,")
    assert first.endswith(f'",{bad[0]}')
    assert second.startswith("3,row: has 4 cells under a header of 3 columns")
    assert second.endswith(f",{bad[1]}")
    again = tmp_path / "again.csv"
    found = errors_of(path.read_bytes(), again)
    assert [type(row).__name__ for row in found] == ["BrokenRow", "BrokenRow"]
    assert again.read_text("utf-8").splitlines()[1].endswith(bad[0])
    mended = path.read_text("utf-8").replace('"5 cake', "5 cake").replace(",x", "")
    _, found = read_all(mended)
    assert [sent(row)[0] for row in found] == ["2", "3"]


def test_jsonl_lines_come_back_with_their_reason_and_can_be_mended(tmp_path):
    path = tmp_path / "errors.jsonl"
    unknown = GOOD_LINE.replace('"row_id": "a"', '"name": "茶\\ud800"')
    lines = [GOOD_LINE, unknown, "not json", '{"a": 1, "a": 2}']
    errors_of("\n".join(lines), path, "jsonl", row_prefix="may:")
    written = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [list(line)[:3] for line in written] == [
        ["_line", "_problem", "name"],
        ["_line", "_problem", "_text"],
        ["_line", "_problem", "_text"],
    ]
    assert written[0]["_line"] == "may:2"
    assert written[0]["name"] == "茶\ud800"
    assert "茶" in path.read_text("utf-8")
    assert written[0]["_problem"].startswith("name: is not a field of this request")
    assert [line["_text"] for line in written[1:]] == lines[2:]
    # Submitted as it is, it comes back the same.
    again = tmp_path / "again.jsonl"
    errors_of(path.read_bytes(), again, "jsonl")
    assert again.read_bytes() == path.read_bytes()
    # Mended, in its place or within `_text`, the rows keep their ids.
    del written[0]["name"]
    written[1]["_text"] = json.dumps({key: value for key, value in json.loads(GOOD_LINE).items() if key != "row_id"})
    _, found = read_all("\n".join(json.dumps(line) for line in written[:2]), "jsonl")
    assert [sent(row)[0] for row in found] == ["may:2", "may:3"]


def test_the_catalog_itself_is_no_error_file(tmp_path):
    path = tmp_path / "coupons.csv"
    path.write_text(table(HEADER, NORMAL_ROW), encoding="utf-8")
    with catalog.read(path) as rows, pytest.raises(CatalogError, match="is the catalog itself"):
        catalog.ErrorFile(path, rows)


def test_an_error_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CatalogError, match=r"the error file .* cannot be written \(No such file or directory\)"):
        errors_of(table(HEADER, row_with(NORMAL_ROW, 品牌ID="")), tmp_path / "missing" / "errors.csv")


# --- quotes and commas that move cells --------------------------------------------------------------------------------

WIDE = "商品编号,品牌ID,图片类型,优惠范围,券类型,门槛(元),减免(元),折扣,商品图"


def wide(number, amounts="100,20", note=""):
    return f"SP-{number},120344,拼图,全场,满减券,{amounts},,{note}"


@pytest.mark.parametrize(
    "swallowed",
    [
        [wide(2), wide(3, note='x"')],
        [wide(2, note='x"')],
        [wide(2), wide(3), wide(4, note='x"')],
        [wide(2), wide(3)],
        ["SP-2,120344,拼图", wide(3, note='x"')],
    ],
)
def test_a_quote_does_not_swallow_the_rows_after_it(swallowed):
    text = "\n".join([WIDE, wide(1, note='"best coffee'), *swallowed, wide(9)])
    _, found = read_all(text)
    assert [row.line for row in found] == list(range(2, 4 + len(swallowed)))
    assert "has a quote that does not close" in told(found[0])[0][1]
    assert isinstance(found[-1], catalog.Row)


def test_a_cell_of_several_lines_with_commas_is_one_cell():
    note = '"first, line\nsecond, with, commas\n120344\n"'
    _, found = read_all("\n".join([f"备注,{WIDE}", f"{note},{wide(1)}", f"x,{wide(2)}"]))
    assert [(row.line, row.spec.row_id) for row in found] == [(2, "SP-1"), (6, "SP-2")]


@pytest.mark.parametrize("amounts", ["5000,1,299", "1,299,20", "199,90,20", "￥1,299,20", "5000,1,299.00"])
def test_a_number_with_a_comma_and_no_quotes_breaks_its_row(amounts):
    _, found = read_all("\n".join([WIDE, wide(1), wide(2, amounts), wide(3)]))
    assert [type(row) for row in found] == [catalog.Row, catalog.BrokenRow, catalog.Row]
    assert "a number with a comma needs quotes around it" in told(found[1])[0][1]


def test_a_cell_of_many_letters_is_taken():
    text = f'{WIDE},详情\n{wide(1)},"{"x" * 2_000_000}"\n{wide(2)},\n'
    rows, _ = read_all(text)
    assert (rows.good, rows.broken) == (2, 0)


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\n', "\nsep=;\n"])
def test_a_line_that_names_the_delimiter_is_no_header(first):
    row = only(first + WIDE.replace(",", ";") + "\n" + wide(1).replace(",", ";"))
    assert row.spec.row_id == "SP-1"


@pytest.mark.parametrize("delimiter", ["|", "，"])
def test_other_delimiters_are_told_by_the_header(delimiter):
    assert only((WIDE + "\n" + wide(1)).replace(",", delimiter)).spec.row_id == "SP-1"


@pytest.mark.parametrize("depth", [60, 600, 5000])
def test_json_that_nests_deep_breaks_its_row_only(depth):
    deep = GOOD_LINE.replace("{", '{"x": ' + '{"a":' * depth + "1" + "}" * depth + ", ", 1)
    rows, found = read_all(f"{GOOD_LINE}\n{deep}\n", "jsonl")
    assert (rows.good, rows.broken) == (1, 1)
    assert "nests more than 50 levels deep" in told(found[1])[0][1]


def test_words_for_an_empty_cell_are_empty_where_that_was_asked():
    text = f"{WIDE}\nSP-1,120344,拼图,全场,满减券,100,20,NULL,\\N\n"
    row = only(text, empty=("NULL", "\\N"))
    assert row.notes == ()
    assert row.given[7] == "NULL"
    assert only(text).notes
