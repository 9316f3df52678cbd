"""Workbooks of other programs: which sheet and rows are read, and what is refused before it is unpacked."""

import io
import re
import zipfile

import openpyxl
import pytest
from openpyxl.styles import Font

from couponpress.catalog.xlsx_package import mentioned
from couponpress.errors import CatalogError
from tests.unit.producers.catalog.test_workbook import (
    DISCOUNT,
    HEADER,
    NORMAL,
    at,
    normal,
    only,
    read_all,
    saved,
    told,
    with_cells,
    workbook,
)
from tests.workbooks import parts_of, with_shared_texts, zipped

NEVER = "holds a formula that was never calculated; open the workbook in Excel and save it again"


def changed(content, part, old, new):
    parts = parts_of(content)
    assert old in parts[part], parts[part]
    return zipped(parts | {part: parts[part].replace(old, new)})


def changed_sheet(content, old, new):
    return changed(content, "xl/worksheets/sheet1.xml", old, new)


# --- sheets and rows --------------------------------------------------------------------------------------------------


def book_of_sheets(**states):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, (title, state) in enumerate(states.items()):
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        sheet.append(HEADER)
        sheet.append(normal(商品编号=f"SP-{number}"))
    return saved(book)


def test_the_first_visible_sheet_is_read_and_the_others_are_named():
    content = book_of_sheets(旧="hidden", 深="veryHidden", 五月="visible", 六月="visible")
    rows, found = read_all(content)
    assert [row.serialized_spec.row_id for row in found] == ["SP-2"]
    assert rows.summary.lines()[0] == "read is the sheet '五月'; not read: 旧 (hidden), 深 (hidden), 六月"
    assert read_all(content, sheet="旧")[1][0].serialized_spec.row_id == "SP-0"


def test_hidden_rows_are_told_and_can_be_left_out():
    content = workbook(NORMAL, normal(商品编号="SP-9"), normal(商品编号="SP-10"))
    content = changed_sheet(content, b'<row r="3"', b'<row hidden="1" r="3"')
    rows, found = read_all(content)
    assert len(found) == 3
    assert [(count, "hidden" in note) for note, count in rows.notes.items()] == [(1, True)]
    rows, found = read_all(content, skip_hidden=True)
    assert [row.serialized_spec.row_id for row in found] == ["SP-1", "SP-10"]
    assert "hidden rows left out: 1" in rows.summary.lines()


def test_the_report_says_units_and_the_first_offer():
    rows, _ = read_all(workbook(NORMAL))
    assert rows.summary.lines() == [
        "amounts are read in yuan (元): 门槛(元), 减免(元), 换购价(元); percent off or 折: 折扣",
        "line 2 is the offer 满199.9元减20元",
    ]


def test_a_header_below_titles_and_notes_is_found():
    book = openpyxl.Workbook()
    for row in (["五月 优惠券"], ["填表说明", "必填"], [f"{name}*" for name in HEADER], NORMAL):
        book.active.append(row)
    row = only(saved(book))
    assert (row.line, row.serialized_spec.row_id) == (4, "SP-1")
    rows, _ = read_all(saved(book), header_row=3)
    assert rows.good == 1
    with pytest.raises(CatalogError, match=re.escape("line 1 (五月 优惠券) is no usable header")):
        read_all(saved(book), header_row=1)
    with pytest.raises(CatalogError, match="has no record on line 9, which --header-row names"):
        read_all(saved(book), header_row=9)


def test_the_likeliest_line_is_shown_where_no_header_is_found():
    book = openpyxl.Workbook()
    for row in (["五月"], ["品牌ID", "适用范围", "价格"], [1, 2, 3]):
        book.active.append(row)
    with pytest.raises(CatalogError, match=re.escape("line 2 (品牌ID, 适用范围, 价格) is no usable header")):
        read_all(saved(book))


@pytest.mark.parametrize(
    "name",
    ["品牌ID*", "＊品牌ID", "品牌ID（必填）", "品牌ID(选填)", "品牌 ID：", "\u200b品牌ID", "【必填】品牌ID"]
    + ["品牌ID（必填，数字）", "品牌ID*必填", "(必填)品牌ID*"],
)
def test_marks_around_a_header_make_no_difference(name):
    header = tuple(name if one == "品牌ID" else one for one in HEADER)
    assert only(workbook(NORMAL, header=header)).spec.brand_id == "120344"


def test_amounts_in_two_units_stop_the_file():
    header = tuple("减免(分)" if one == "减免(元)" else one for one in HEADER)
    with pytest.raises(
        CatalogError, match=re.escape("'门槛(元)' is read in yuan (元), '减免(分)' is read in cents (分)")
    ):
        read_all(workbook(NORMAL, header=header))


# --- other programs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [b'fullCalcOnLoad="1"', b'fullCalcOnLoad="true"', b'calcCompleted="0"'])
def test_a_zero_that_a_program_wrote_for_a_formula_is_no_result(asked):
    """XlsxWriter writes 0, and asks Excel to calculate."""
    content = workbook(NORMAL, cells={at("门槛(元)"): "><f>100+99.9</f><v>0</v>"})
    content = changed(content, "xl/workbook.xml", b'fullCalcOnLoad="1"', asked)
    assert told(only(content)) == [("门槛(元)", NEVER, "not calculated")]


def test_what_poi_writes_for_a_formula_is_no_result():
    content = workbook(NORMAL, cells={at("门槛(元)"): "><f>100+99.9</f><v>0.0</v>"})
    content = changed(content, "xl/workbook.xml", b' fullCalcOnLoad="1"', b"")
    assert told(only(content)) == [("门槛(元)", NEVER, "not calculated")]


def test_another_zero_of_a_formula_is_noted():
    content = workbook((*DISCOUNT[:5], 0, *DISCOUNT[6:]), cells={at("门槛(元)"): "><f>1-1</f><v>0</v>"})
    content = changed(content, "xl/workbook.xml", b' fullCalcOnLoad="1"', b"")
    assert only(content).notes == ("门槛(元): the result of its formula is 0; check that the workbook was calculated",)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("120344_x000D_", "120344"),
        ("120344_x000a__x000D_", "120344"),
        ("_x0031_20344", "120344"),
        ("SP_x005F_x0041_", "SP_x0041_"),
        ("SP_x00ZZ_", "SP_x00ZZ_"),
    ],
)
def test_escaped_letters_are_read(written, read):
    content = workbook(normal(商品编号=written))
    assert only(content).serialized_spec.row_id == read
    assert only(with_shared_texts(content)).serialized_spec.row_id == read


def test_shared_texts_are_read_without_their_reading_aids():
    content = with_shared_texts(workbook(NORMAL, DISCOUNT, NORMAL))
    assert [row.serialized_spec for row in read_all(content)[1]] == [
        row.serialized_spec for row in read_all(workbook(NORMAL, DISCOUNT, NORMAL))[1]
    ]


def test_strict_open_xml_is_read():
    main, strict = (
        b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        b"http://purl.oclc.org/ooxml/spreadsheetml/main",
    )
    office, strict_office = (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        b"http://purl.oclc.org/ooxml/officeDocument/relationships",
    )
    parts = parts_of(workbook(NORMAL))
    parts = {name: part.replace(main, strict).replace(office, strict_office) for name, part in parts.items()}
    assert only(zipped(parts)).serialized_spec.row_id == "SP-1"


def test_parts_are_found_in_any_case_and_with_backslashes():
    parts = parts_of(with_shared_texts(workbook(NORMAL)))
    renamed = {
        name.replace("sharedStrings", "SharedStrings").replace("worksheets/", "Worksheets\\"): part
        for name, part in parts.items()
    }
    assert only(zipped(renamed)).serialized_spec.row_id == "SP-1"


def test_merged_cells_may_be_written_with_single_quotes_and_prefixes():
    content = workbook(NORMAL, normal(品牌ID=None), merged=["B2:B3"])
    content = changed_sheet(content, b'<mergeCell ref="B2:B3"', b"<mergeCell ref='B2:B3'")
    assert [row.spec.brand_id for row in read_all(content)[1]] == ["120344"] * 2


@pytest.mark.parametrize("number", [*range(27, 37), *range(50, 59), 14, 22, 45, 47])
def test_builtin_dates_are_dates(number):
    content = workbook(normal(商品编号=45293), formats={"A2": "0.00"})
    content = changed(content, "xl/styles.xml", b'<xf numFmtId="2"', f'<xf numFmtId="{number}"'.encode())
    assert told(only(content))[0][1].startswith("is a date or a time to Excel")


def test_dates_from_1904_are_the_same_days():
    content = workbook(normal(商品编号=43831), formats={"A2": "yyyy-mm-dd"})
    # openpyxl writes no blank with lxml, and one without it.
    old = next(one for one in (b"<workbookPr />", b"<workbookPr/>") if one in parts_of(content)["xl/workbook.xml"])
    content = changed(content, "xl/workbook.xml", old, b'<workbookPr date1904="1"/>')
    assert told(only(content))[0][2] == "2024-01-02"


# --- what is refused --------------------------------------------------------------------------------------------------


def directory_changed(content, offset, put):
    start = content.index(b"PK\x01\x02") + offset
    return content[:start] + put + content[start + len(put) :]


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in parts_of(with_shared_texts(workbook(NORMAL))).items():
            book.writestr(name, part if name != "xl/sharedStrings.xml" else b"<si><t>a</t></si>" * 6_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: directory_changed(workbook(NORMAL), 8, b"\x01"), "has a password; save it in Excel without one"),
        (lambda: directory_changed(workbook(NORMAL), 10, b"\x09"), "method 9, such as Deflate64"),
        (bomb, "as no workbook of rows does; nothing was unpacked"),
        (lambda: zipped({"content.xml": b"<x/>"}), "is an OpenDocument file (.ods); save it as .xlsx"),
        (lambda: zipped({"word/document.xml": b"<x/>"}), "is a zip file that holds no workbook"),
        (lambda: changed_sheet(workbook(NORMAL), b"<worksheet", b"<!DOCTYPE a><worksheet"), "has a document type"),
        (lambda: changed_sheet(workbook(NORMAL), b'<row r="2"', b'<row r="-2"'), "a row has the number '-2'"),
        (lambda: changed_sheet(workbook(NORMAL), b'<row r="2"', b'<row r="1"'), "row 1 stands behind row 1"),
        (lambda: changed_sheet(workbook(NORMAL), b'r="B2"', b'r="A2"'), "holds a cell twice"),
        (lambda: changed_sheet(workbook(NORMAL), b'r="B2"', b'r="B7"'), "row 2 holds the cell 'B7'"),
        (lambda: changed_sheet(workbook(NORMAL), b"<v>120344</v>", b"<v>nan</v>"), "row 2 holds the number 'nan'"),
    ],
)
def test_what_is_no_workbook_of_rows_gets_one_sentence(content, sentence):
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        read_all(content())


def test_the_sentence_for_a_damaged_zip_is_short():
    content = bytearray(workbook(NORMAL))
    for found in re.finditer(b"PK\x03\x04", content):
        content[found.start() + 26 : found.start() + 28] = b"\x00\x04"  # how long the name of the part is
    with pytest.raises(
        CatalogError, match=r"cannot be read as a workbook \(BadZipFile: File name in.*save it again"
    ) as told:
        read_all(bytes(content))
    assert len(str(told.value)) < 400


# --- texts and styles -------------------------------------------------------------------------------------------------


def amount_of(inner):
    """A workbook whose threshold is this XML."""
    return workbook(NORMAL, cells={at("门槛(元)"): inner})


STRUCK = "<r><rPr><strike/></rPr><t>199</t></r><r><t>100</t></r>"
RAISED = '<r><t>10</t></r><r><rPr><vertAlign val="superscript"/></rPr><t>2</t></r>'
PLAIN = '<r><rPr><strike val="0"/><vertAlign val="baseline"/></rPr><t>10</t></r><r><rPr><b/></rPr><t>0</t></r>'


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("runs", "expected"), [(STRUCK, None), (RAISED, None), (PLAIN, 10000)])
def test_a_text_with_letters_that_are_struck_out_or_raised_is_no_amount(runs, expected, shared):
    """An old price that is struck out beside the new one must not become one number."""
    if shared:
        parts = parts_of(with_shared_texts(workbook(NORMAL, cells={at("门槛(元)"): ' t="s"><v>0</v>'})))
        parts["xl/sharedStrings.xml"] = re.sub(
            rb"<si>.*?</si>", f"<si>{runs}</si>".encode(), parts["xl/sharedStrings.xml"], count=1
        )
        _, (row,) = read_all(zipped(parts))
    else:
        row = only(amount_of(f' t="inlineStr"><is>{runs}</is>'))
    problems = [] if expected else told(row)
    if expected:
        assert row.spec.combine_image.normal_coupon.threshold == expected
    else:
        assert "has letters that are struck out, raised or lowered" in next(
            rule for name, rule, _ in problems if name == "门槛(元)"
        )


STRUCK_FONT = Font(strike=True)


@pytest.mark.parametrize(
    ("name", "value", "number_format", "font", "is_struck"),
    [
        ("门槛(元)", 199.9, "General", STRUCK_FONT, True),
        ("门槛(元)", 199.9, "0.00元", STRUCK_FONT, True),
        ("门槛(元)", "199.9", "@", STRUCK_FONT, True),
        ("品牌ID", 120344, "General", STRUCK_FONT, True),
        ("商品编号", "SP-1", "General", STRUCK_FONT, True),
        ("优惠范围", "全场", "General", STRUCK_FONT, True),
        ("备注", "旧", "General", STRUCK_FONT, False),  # no column of ours
        ("商品图", None, "General", STRUCK_FONT, False),  # nothing in it
        ("门槛(元)", 199.9, "General", Font(strike=False), False),
        ("门槛(元)", 199.9, "General", Font(underline="single"), False),
    ],
)
def test_a_cell_that_its_font_strikes_out_is_not_meant(name, value, number_format, font, is_struck):
    """A row that a person has struck out must not be sent, and neither must an old price."""
    header = (*HEADER, "备注")
    book = openpyxl.load_workbook(io.BytesIO(workbook((*NORMAL, "旧"), header=header)))
    cell = book.active.cell(2, header.index(name) + 1)
    cell.value, cell.number_format, cell.font = value, number_format, font
    _, (row,) = read_all(saved(book))
    if is_struck:
        assert [(column, rule.partition(":")[0]) for column, rule, _ in told(row)] == [(name, "is struck out")]
    else:
        assert row.spec.combine_image.normal_coupon.threshold == 19990


@pytest.mark.parametrize("font", [b'fontId="1" ', b""])
def test_a_style_without_a_font_has_that_of_the_named_style_below_it(font):
    """`applyFont` says nothing of it: Excel shows the font that is named."""
    fonts = b"<fonts><font><strike/></font><font/></fonts>"
    lists = b'<cellStyleXfs><xf fontId="0"/></cellStyleXfs><cellXfs><xf %bxfId="0"/></cellXfs>' % font
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    styles = b'<styleSheet xmlns="%b">%b%b</styleSheet>' % (main, fonts, lists)
    _, (row,) = read_all(zipped(parts_of(workbook(NORMAL)) | {"xl/styles.xml": styles}))
    if font:
        assert row.spec.combine_image.normal_coupon.threshold == 19990
    else:
        assert {rule.partition(":")[0] for _, rule, _ in told(row)} == {"is struck out"}


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("><v>100</v><extLst><ext><v>9</v></ext></extLst>", 10000),
        (' t="inlineStr"><v>7</v><is><t>100</t></is>', 10000),
        (' t="inlineStr"><is><t>100</t></is><v>7</v>', 10000),
        ("><v>100</v><is><t>999</t></is>", 10000),
        ("><is><t>999</t></is><v>100</v>", 10000),
        ("><is><t>100</t></is>", 10000),
        ("><v>100</v><v>200</v>", "holds a cell with two values"),
        (' t="inlineStr"><is><t>1</t></is><is><t>2</t></is>', "holds a cell with two values"),
    ],
)
def test_a_cell_has_one_value(inner, expected):
    if isinstance(expected, str):
        with pytest.raises(CatalogError, match=expected):
            read_all(amount_of(inner))
    else:
        assert only(amount_of(inner)).spec.combine_image.normal_coupon.threshold == expected


def test_a_style_without_a_format_has_that_of_the_named_style_below_it():
    parts = parts_of(workbook(NORMAL, cells={at("门槛(元)"): ' s="1"><v>100</v>'}))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts["xl/styles.xml"] = (
        f'<styleSheet xmlns="{main}"><cellStyleXfs><xf numFmtId="0"/><xf numFmtId="44"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf xfId="1"/></cellXfs></styleSheet>'
    ).encode()
    assert "is shown with '$' by its format" in told(only(zipped(parts)))[0][1]


@pytest.mark.parametrize(
    ("inner", "rule"),
    [
        (' t="str"><f>_xlfn.DISPIMG("ID_6A",1)</f><v>=DISPIMG("ID_6A",1)</v>', "a picture inside of the workbook"),
        (' t="e" vm="1"><v>#VALUE!</v>', "a picture inside of the cell"),
    ],
)
def test_a_picture_inside_of_a_workbook_is_named(inner, rule):
    book = openpyxl.Workbook()
    book.active.append(["商品编号", "品牌ID", "商品图"])
    book.active.append(["SP-1", "120344", "x"])
    row = only(with_cells(saved(book), {"C2": inner}))
    assert rule in told(row)[0][1]


# --- tables without rows ----------------------------------------------------------------------------------------------


def test_a_sheet_without_a_row_or_a_header_names_the_others():
    book = openpyxl.Workbook()
    book.active.title = "Export Summary"
    book.create_sheet("券").append(HEADER)
    with pytest.raises(CatalogError, match=re.escape("is empty. It is the sheet 'Export Summary'; --sheet names an")):
        read_all(saved(book))
    with pytest.raises(
        CatalogError, match=re.escape("has a header on line 1 and no row below it; nothing can be enqueued. It is")
    ):
        read_all(saved(book), sheet="券")
    book.active.append(["说明"])
    with pytest.raises(CatalogError, match=re.escape("is no usable header") + ".*--sheet names another: 券"):
        read_all(saved(book))


def test_a_sheet_whose_rows_are_all_left_out_says_so():
    content = changed_sheet(workbook(NORMAL), b'<row r="2"', b'<row hidden="1" r="2"')
    with pytest.raises(CatalogError, match=re.escape("has only hidden rows (1), which --skip-hidden leaves out.")):
        read_all(content, skip_hidden=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("before", [0, (1 << 20) - 5, (1 << 19) - 3])
def test_words_are_found_in_either_encoding_also_across_blocks(encoding, before):
    part = f"{'x' * before}<mergeCells/>{'茶' * 1000}<numFmt/>".encode(encoding)
    assert mentioned(io.BytesIO(part), ("mergeCell", "numFmt", "conditionalFormatting")) == {"mergeCell", "numFmt"}
