"""Files that people had trouble with: what each row of them becomes, value by value.

The files lie in `cases/`. A line of a table is a row's line in its file, its id, its brand and its offer in words; or
`broken` with the first rule that it breaks; or `refused` for a file that is not read at all.
"""

import gzip
import io
import json
import random
from pathlib import Path

import openpyxl
import pytest

from couponpress import catalog
from couponpress.catalog.summary import in_words
from couponpress.errors import CatalogError
from tests.unit.producers.catalog.test_workbook import with_cells
from tests.workbooks import parts_of, zipped

FILES = Path(__file__).parent / "cases"
#: Files that are read with headers of a merchant's own.
HEADERS = {
    "c21_dup_map.csv": catalog.HeaderMapping.load(None, ["满=threshold_yuan"]),
    "c46_discount_amount_yuan.csv": catalog.HeaderMapping.load(FILES / "m46.toml"),
}


def row_line(row):
    if isinstance(row, catalog.BrokenRow):
        return f"{row.line} broken {row.problems[0]}"
    spec = row.spec
    color = spec.combine_image.background_color if spec.combine_image else None
    return " ".join(filter(None, [f"{row.line} {spec.row_id} {spec.brand_id} {in_words(spec)}", color]))


def read_lines(path, headers=None):
    try:
        with catalog.DuplicateIds() as seen, catalog.read(path, seen=seen, headers=headers) as rows:
            found = [row_line(row) for row in rows]
            told = [f"told {line}" for line in rows.summary.lines() if "sheet" in line]
            return found + told + [f"noted {count} {note}" for note, count in rows.notes.items()]
    except CatalogError as error:
        return [f"refused {str(error).removeprefix(str(path)).lstrip(': ')}"]


CASES = {
    "c01_sci_ids.csv": """
        2 broken 商品编号: is a number that a spreadsheet has shortened, so
        3 broken 商品编号: is a number that a spreadsheet has shortened, so
        4 broken 商品编号: is a number that a spreadsheet has shortened, so
    """,
    "c02_float_ids.csv": """
        2 1001 120344 满100元减20元
        3 1002 120344 满100元减20元
        4 SP-3 120344 满100元减20元
    """,
    "c03_eq_quote.csv": """
        2 00123 120344 满100元减20元
        3 00124 120344 满100元减20元
        4 SP-3 120344 满100元减20元
    """,
    "c04_apostrophe.csv": """
        2 00123 120344 满100元减20元
        3 SP-2 120344 满100元减20元
    """,
    "c06_null_words.csv": """
        2 broken 品牌ID: is a program's word for no value; write the id,
        3 broken 品牌ID: is a program's word for no value; write the id,
        4 broken 品牌ID: is a program's word for no value; write the id,
        5 broken 品牌ID: is a program's word for no value; write the id,
        6 broken 商品编号: is a program's word for no value; write the id,
        7 broken 商品编号: is a program's word for no value; write the id,
    """,
    "c08_zero_width.csv": """
        2 SP-1 120344 满100元减20元
        3 SP-1 120344 满100元减20元
        4 SP-1 120344 满100元减20元
        5 SP-1 120344 满100元减20元
        6 SP-1 120344 满100元减20元
        7 SP-6 120344 满100元减20元
        8 SP-7 120344 满100元减20元
        noted 4 row: stands twice; it is the same work
    """,
    "c10_double_bom.csv": """
        2 SP-1 120344 满100元减20元
        3 SP-2 120344 满100元减20元
    """,
    "c13_header_star.csv": """
        2 SP-1 120344 满100元减20元
    """,
    "c15_sep.csv": """
        3 SP-1 120344 满100元减20元
    """,
    "c16_title_row.csv": """
        3 SP-1 120344 满100元减20元
    """,
    "c21_dup_map.csv": """
        refused '满' is mapped, and two columns have that name; rename one of them.
    """,
    "c31_swallow.csv": """
        2 broken row: has a quote that does not close: a cell that
        3 SP-2 120344 满100元减20元
        4 SP-3 120344 满100元减20元
        5 SP-4 120344 满100元减20元
    """,
    "c33_discount.csv": """
        2 broken 折扣: must say what it means, for example 8折, 8.5折 or
        3 SP-2 120344 满100元打8折
        4 SP-3 120344 满100元打8.5折
        5 SP-4 120344 满100元打8.5折
        6 SP-5 120344 满100元打8.5折
        7 broken 折扣: may mean what is paid or what is taken off; write
        8 broken 折扣: must be at least 1折 (90 percent off); 8折 is 20
        9 SP-8 120344 满100元打8折
        10 SP-9 120344 满100元打9折
        11 SP-10 120344 满100元打8折
        12 SP-11 120344 满100元打8.5折
        13 SP-12 120344 满100元打8.5折
        14 broken 折扣: must say what it means, for example 8折, 8.5折 or
        15 SP-14 120344 满100元打7.5折
        16 broken 折扣: must say what it means, for example 8折, 8.5折 or
        17 broken 折扣: must say what it means, for example 8折, 8.5折 or
        18 broken 折扣: must say what it means, for example 8折, 8.5折 or
        19 broken 折扣: must say what it means, for example 8折, 8.5折 or
        20 SP-19 120344 满100元打9.8折
        21 broken 折扣: must come to whole percent off, for example 8.5折
        22 broken 折扣: must be greater than or equal to 1
        23 broken 折扣: is no usual discount; write it between 1折 and
        24 SP-23 120344 满100元打8.8折
        25 SP-24 120344 满100元打5折
        26 SP-25 120344 满100元打9.5折
        27 SP-26 120344 满100元打5折
        28 broken 折扣: must say what it means, for example 8折, 8.5折 or
        29 broken 折扣: must say what it means, for example 8折, 8.5折 or
        30 SP-29 120344 满100元打2折
        31 SP-30 120344 满100元打8折
        32 broken 折扣: must say what it means, for example 8折, 8.5折 or
        33 SP-32 120344 满100元打8折
        34 broken 折扣: must say what it means, for example 8折, 8.5折 or
        35 broken 折扣: is no usual discount; write it between 1折 and
        36 broken 折扣: is no usual discount; write it between 1折 and
    """,
    "c34_gz.csv": """
        refused is compressed with gzip; unpack it first, as `gunzip` does.
    """,
    "c41_gbk_halfchar.csv": """
        refused is not GBK (GB18030) text (line 2 holds bytes that are no letter of it); mend
    """,
    "c46_discount_amount_yuan.csv": """
        refused the amounts of a row are in two units: 'min_order_amount' is read in yuan (元),
    """,
    "c54_unquoted_thousands.csv": """
        2 SP-1 120344 满5000元减500元
        3 broken row: has 11 cells under a header of 10 columns; a
        4 SP-3 120344 满5000元减600元
    """,
    "j02_array_pretty.jsonl": """
        refused is a JSON array; write each of its objects on one line, as `jq -c '.[]'` does.
    """,
    "j06_deep600.jsonl": """
        1 broken row: is not JSON that can be read: it nests more than
        2 SP-2 120344 满199.9元减20元
    """,
    "l01_broken_workbook_xml.xlsx": """
        refused cannot be read as a workbook (ExpatError: unclosed token: line 1, column 10);
    """,
    "r05_template_note_rows.xlsx": """
        3 broken 门槛(元)*: must be an amount in yuan (元), for example 199.90
        4 SP-1 120344 满100元减20元
        5 broken 品牌ID*: is required
        told read is the sheet '商品信息'; not read: 计量单位
    """,
    "x01_x000D.xlsx": """
        2 SP-1 120344 满100元减20元
        3 SP-2 120344 满100元减20元
        4 a_x0041_b 120344 满100元减20元
    """,
    "x02_xlsxwriter_zero.xlsx": """
        2 broken 门槛(元): holds a formula that was never calculated; open
        3 broken 门槛(元): holds a formula that was never calculated; open
    """,
    "x03_sxssf_zero.xlsx": """
        2 broken 门槛(元): holds a formula that was never calculated; open
    """,
    "x05_cents_col_yuan_format.xlsx": """
        2 broken 门槛(分): is shown with decimals by its format, in a column
        3 broken 门槛(分): is shown with '¥' by its format, in a column of
        4 broken 门槛(分): is shown with '元' by its format, in a column of
        5 broken 门槛(分): is shown with '¥' by its format, in a column of
        6 SP-5 120344 满199.9元减20元
        7 SP-6 120344 满1.99元减0.2元
    """,
    "x06_yuan_col_other_unit.xlsx": """
        2 broken 门槛(元): is shown with '分' by its format, in a column of
        3 broken 门槛(元): is shown with '$' by its format, in a column of
        4 broken 门槛(元): is shown with '$' by its format, in a column of
        5 broken 门槛(元): is shown with '€' by its format, in a column of
        6 broken 门槛(元): is shown with 'USD' by its format, in a column of
        7 broken 门槛(元): is shown with '角' by its format, in a column of
        8 broken 门槛(元): is shown as another number than it holds, by its
        9 broken 门槛(元): is shown with 'K' by its format, in a column of
        10 broken 门槛(元): is shown with '万' by its format, in a column of
        11 SP-10 120344 满199元减20元
        12 broken 门槛(元): is shown rounded by its format, so it is another
        13 broken 门槛(元): is shown rounded by its format, so it is another
        14 broken 门槛(元): is shown with 'HKD' by its format, in a column of
        15 broken 门槛(元): is shown with 'JPY' by its format, in a column of
        16 broken 门槛(元): is shown as another number than it holds, by its
        17 SP-16 120344 满199元减20元
        18 broken 门槛(元): is shown with '-' by its format, in a column of
        19 broken 门槛(元): is shown rounded by its format, so it is another
    """,
    "x07_id_formats.xlsx": """
        2 broken 商品编号: is shown with other letters than it holds, by its
        3 broken 商品编号: is shown with other letters than it holds, by its
        4 001234 120344 满100元减20元
        5 120344 120344 满100元减20元
        6 broken 商品编号: is shown rounded by its format; format the column
        7 6901234567890 120344 满100元减20元
        8 6901234567890 120344 满100元减20元
        9 broken 品牌ID: is shown with other letters than it holds, by its
        10 broken 商品编号: is shown with other letters than it holds, by its
        11 broken 商品编号: has more digits than Excel keeps of a number, so
        12 broken 商品编号: is TRUE to Excel; format the column as text and
        13 broken 品牌ID: is TRUE to Excel; format the column as text and
        14 broken 商品编号: is a date or a time to Excel; format the column
        15 broken 商品编号: is shown with other letters than it holds, by its
        16 SP-15 120344 满100元减20元
        17 123456789012345 120344 满100元减20元
        18 012034 120344 满100元减20元
        19 0007 120344 满100元减20元
        20 00007 120344 满100元减20元
        21 broken 商品编号: is shown rounded by its format; format the column
        noted 1 row: stands twice; it is the same work
    """,
    "x08_hidden_first_sheet.xlsx": """
        2 SP-1 120344 满100元减50元
        3 SP-2 120344 满100元减60元
        told read is the sheet '五月'; not read: 旧 (hidden)
    """,
    "x09_filtered_rows.xlsx": """
        2 SP-1 120344 满100元减20元
        3 SP-2 120344 满100元减20元
        4 SP-3 120344 满100元减20元
        noted 1 the row is hidden in the workbook
    """,
    "x10b_merged_squote.xlsx": """
        2 SP-1 120344 满100元减20元 #ff0000
        3 SP-2 120344 满100元减20元 #ff0000
        4 SP-3 120344 满100元减20元 #ff0000
    """,
    "x12_strict.xlsx": """
        2 SP-1 120344 满100元减20元
    """,
    "x13_sharedstrings_case.xlsx": """
        2 SP-1 120344 满100元减20元
    """,
    "x26_chinese_builtin_dates.xlsx": """
        2 broken 商品编号: is a date or a time to Excel; format the column
        3 broken 商品编号: is a date or a time to Excel; format the column
        4 broken 商品编号: is a date or a time to Excel; format the column
        5 broken 商品编号: is a date or a time to Excel; format the column
        6 broken 商品编号: is a date or a time to Excel; format the column
        7 broken 商品编号: is a date or a time to Excel; format the column
        8 broken 商品编号: is a date or a time to Excel; format the column
        9 broken 商品编号: is a date or a time to Excel; format the column
        10 broken 商品编号: is a date or a time to Excel; format the column
        11 broken 商品编号: is a date or a time to Excel; format the column
        12 broken 商品编号: is a date or a time to Excel; format the column
        13 broken 商品编号: is a date or a time to Excel; format the column
        14 broken 商品编号: is a date or a time to Excel; format the column
        15 45293 120344 满100元减20元
        16 broken 门槛(元): is a date or a time to Excel; format the column
    """,
    "y03_encrypted_zip.xlsx": """
        refused has a password; save it in Excel without one.
    """,
    "y04_deflate64.xlsx": """
        refused is packed in a way that is not read (method 9, such as Deflate64); open it in
    """,
    "y10b_latin_decl.xlsx": """
        refused cannot be read as a workbook (DamagedPartError: a part is in the encoding
    """,
    "y20_title_slash.xlsx": """
        2 SP-1 120344 满100元减20元
        3 broken 品牌ID: must be digits, letters, _ or -
    """,
    "y23_problem_col_far.xlsx": """
        2 SP-1 120344 满100元减20元
        3 broken 品牌ID: must be digits, letters, _ or -
    """,
}


def test_every_file_has_a_table():
    assert {path.name for path in FILES.iterdir()} - {"m46.toml"} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_each_value_of_a_file(name):
    found = read_lines(FILES / name, HEADERS.get(name))
    wanted = [line.strip() for line in CASES[name].strip().splitlines()]
    assert len(found) == len(wanted)
    for line, expected in zip(found, wanted, strict=True):
        # A sentence may say more than the table; what is sent may not.
        cut = len(expected) if " broken " in expected or expected.split()[0] in {"refused", "noted"} else None
        assert line[:cut] == expected


# --- the same kinds, written by other programs -----------------------------------------------------------------------

HEADER = "商品编号,品牌ID,优惠范围,券类型,门槛(元),减免(元),折扣"
ROW = "SP-1,120344,全场,满减券,100,20,"
TABLE = f"{HEADER}\n{ROW}\n"
GOOD = "2 SP-1 120344 满100元减20元"
OBJECT = json.dumps(
    {
        "row_id": "SP-1",
        "brand_id": "120344",
        "image_generation_type": "COMBINE_IMAGE",
        "combine_image": {
            "scope": "ALL",
            "type": "NORMAL",
            "usage_mode": "SINGLE",
            "normal_coupon": {"threshold": 10000, "discount_amount": 2000},
        },
    }
)
GOOD_OBJECT = "1 SP-1 120344 满100元减20元"
WEB_PAGE = "<html><body><table><tr><td>品牌ID</td></tr></table>"


def parted(delimiter):
    return TABLE.replace(",", delimiter).encode()


FILES_OF_OTHERS = {
    # encodings and marks
    "a.csv": (TABLE.encode("utf-8-sig"), GOOD),
    "b.csv": (TABLE.encode("gbk"), GOOD),
    "c.csv": (TABLE.encode("utf-16"), GOOD),
    "d.csv": (TABLE.encode("utf-16-le"), GOOD),
    "e.csv": (TABLE.encode("utf-16-be"), GOOD),
    "f.csv": (TABLE.encode("utf-32"), "refused is UTF-32 text; save it again as UTF-8."),
    "g.csv": (TABLE.encode("utf-7"), "refused line 1 (+VUZUwX8WU/c, +VMFyTA-ID,"),
    "h.csv": (TABLE.encode("hz"), "refused line 1 (~{ILF71`:E~},"),
    # separators and line ends
    "semicolons.csv": (parted(";"), GOOD),
    "tabs.txt": (parted("\t"), GOOD),
    "unicode.txt": (TABLE.replace(",", "\t").encode("utf-16"), GOOD),
    "pipes.csv": (parted("|"), GOOD),
    "wide_commas.csv": (parted("，"), GOOD),
    "wide_semicolons.csv": (parted("；"), GOOD),
    "carets.csv": (parted("^"), GOOD),
    "colons.csv": (parted(":"), "refused line 1 (商品编号:品牌ID"),
    "old_mac.csv": (TABLE.replace("\n", "\r").encode(), GOOD),
    "cells_behind.csv": (TABLE.replace("\n", ",,,\n").encode(), GOOD),
    "comment.csv": (f"# exported in May\n{TABLE}".encode(), GOOD.replace("2", "3", 1)),
    # quotes
    "quoted.csv": (TABLE.replace(",100,", ',"1,000",').encode(), "2 SP-1 120344 满1000元减20元"),
    "smart_quotes.csv": (TABLE.replace("SP-1", "“SP-1”").encode(), GOOD),
    "single_quotes.csv": (TABLE.replace("SP-1", "'SP-1'").encode(), GOOD),
    "backslash.csv": (TABLE.replace("SP-1", '"SP\\"-1"').encode(), "2 broken row: has a quote that does not close"),
    "decimal_comma.csv": (TABLE.replace(",20,", ",9,90,").encode(), "2 broken row: has 8 cells under a header of 7"),
    "thousands.csv": (
        f"{HEADER}\nSP-1,120344,全场,折扣券,1,299,8折\n".encode(),
        "2 broken 减免(元): may be the end of a number with a comma, which needs quotes around it",
    ),
    "round_thousands.csv": (
        f"{HEADER}\nSP-1,120344,全场,折扣券,10,000,8折\n".encode(),
        "2 broken 减免(元): may be the end of a number with a comma, which needs quotes around it",
    ),
    "thousands_off.csv": (
        f"{HEADER}\nSP-1,120344,全场,满减券,5000,1,299\n".encode(),
        "2 broken 折扣: may be the end of a number with a comma, which needs quotes around it",
    ),
    "decimal_comma_at_the_end.csv": (
        f"{HEADER}\nSP-1,120344,全场,满减券,100,9,90\n".encode(),
        "2 broken 折扣: may be the end of a number with a comma, which needs quotes around it",
    ),
    "other_leftover.csv": (f"{HEADER}\nSP-1,120344,全场,满减券,200,20,8折\n".encode(), "2 SP-1 120344 满200元减20元"),
    "leftover.csv": (f"{HEADER}\nSP-1,120344,全场,折扣券,200,100,8折\n".encode(), "2 SP-1 120344 满200元打8折"),
    # other formats under a known name, and the other way round
    "a.csv.gz": (gzip.compress(TABLE.encode()), "refused is compressed; unpack it first"),
    "gzip.csv": (gzip.compress(TABLE.encode()), "refused is compressed with gzip"),
    "text.xlsx": (TABLE.encode(), "refused is text and no workbook; give it the suffix .csv"),
    "page.xlsx": (WEB_PAGE.encode(), "refused is a web page or XML; open it in Excel and save it as .xlsx"),
    "page.xls": (WEB_PAGE.encode("gbk"), "refused is a web page or XML under a workbook's name; open it and save it"),
    "page.csv": (WEB_PAGE.encode(), "refused is a web page or XML"),
    "text.xls": (
        TABLE.replace(",", "\t").encode("gbk"),
        "refused is text under a workbook's name; open it and save it",
    ),
    "text16.xls": (TABLE.encode("utf-16"), "refused is text under a workbook's name; open it and save it"),
    "xml2003.xls": (b"<?xml version='1.0'?><Workbook/>", "refused is a web page or XML under a workbook's name"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "refused is an old workbook (.xls); open it and save it as .xlsx"),
    "old.xlsx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "refused is an old .xls, or has a password"),
    "new.xls": (b"PK\x03\x04", "refused is a new workbook under an old name; rename it to new.xlsx"),
    "book.ods": (b"PK\x03\x04", "refused is an OpenDocument spreadsheet (.ods); open it and save it as .xlsx"),
    "book.xlsb": (b"PK\x03\x04", "refused is a binary workbook (.xlsb); open it and save it as .xlsx"),
    "book.et": (b"\xd0\xcf", "refused is a spreadsheet of WPS (.et); open it and save it as .xlsx"),
    "book.numbers": (b"PK\x03\x04", "refused is a spreadsheet of Numbers; open it and save it as .xlsx"),
    "table.pdf": (b"%PDF-1.7", "refused the format of"),
    # JSON
    "one.json": (OBJECT.encode(), GOOD_OBJECT),
    "mark.jsonl": (OBJECT.encode("utf-8-sig"), GOOD_OBJECT),
    "utf16.jsonl": (OBJECT.encode("utf-16"), GOOD_OBJECT),
    "array.json": (f"[{OBJECT},{OBJECT}]".encode(), "refused is a JSON array"),
    "array_of_lines.jsonl": (f"[{OBJECT},\n{OBJECT}\n]".encode(), "refused is a JSON array"),
    "indented.json": (json.dumps(json.loads(OBJECT), indent=2).encode(), "refused is JSON over several lines"),
    "wrapped.jsonl": (f'{{"data": [{OBJECT}]}}'.encode(), "refused holds its rows in the list .data of one JSON"),
    "paged.json": (
        f'{{"code": 0, "tags": [], "data": {{"total": 1, "list": [{OBJECT}]}}}}'.encode(),
        "refused holds its rows in the list .data.list of one JSON object; write each row on one line, as `jq -c '.da",
    ),
    "odd_object.jsonl": (b'{"data": ["a"], "more": {"b": 1}}', "1 broken brand_id: is required"),
    "in_a_row.jsonl": ((OBJECT + OBJECT).encode(), "1 broken row: holds more than one JSON object"),
    "old_mac.jsonl": (f"{OBJECT}\r{OBJECT}\r".encode(), "1 broken row: holds more than one JSON object"),
    "commas.jsonl": (f"{OBJECT},".encode(), "1 broken row: has a comma behind its JSON object"),
    "single_quotes.jsonl": (OBJECT.replace('"', "'").encode(), "1 broken row: is not JSON"),
    "float.jsonl": (
        OBJECT.replace("10000", "10000.0").encode(),
        "1 broken combine_image.normal_coupon.threshold: must be",
    ),
    "text.jsonl": (
        OBJECT.replace("10000", '"10000"').encode(),
        "1 broken combine_image.normal_coupon.threshold: must be",
    ),
    "true.jsonl": (OBJECT.replace("10000", "true").encode(), "1 broken combine_image.normal_coupon.threshold: must be"),
    "infinite.jsonl": (
        OBJECT.replace("10000", "1e999").encode(),
        "1 broken combine_image.normal_coupon.threshold: must",
    ),
    "digits.jsonl": (
        OBJECT.replace("10000", "1" * 5000).encode(),
        "1 broken row: is not JSON that can be read: a number in",
    ),
    "id.jsonl": (OBJECT.replace('"SP-1"', "6.90123e12").encode(), "1 broken row_id: must be a valid string"),
    "table.jsonl": (TABLE.encode(), "1 broken row: is not JSON"),
}


@pytest.mark.parametrize("name", FILES_OF_OTHERS)
def test_a_file_of_another_program(name, tmp_path):
    content, expected = FILES_OF_OTHERS[name]
    (tmp_path / name).write_bytes(content)
    found = read_lines(tmp_path / name)[0]
    assert found[: len(expected)] == expected if " broken " in expected or "refused" in expected else found == expected


def book(change=lambda sheet: None, cells=None, parts=lambda parts: parts):
    made = openpyxl.Workbook()
    made.active.title = "五月"
    made.active.append(HEADER.split(","))
    made.active.append(["SP-1", "120344", "全场", "满减券", 100, 20])
    change(made.active)
    out = io.BytesIO()
    made.save(out)
    return zipped(parts(parts_of(with_cells(out.getvalue(), cells or {}))))


def hidden(column):
    def change(sheet):
        sheet.column_dimensions[column].hidden = True

    return change


BOOKS = {
    "a hidden column": (book(hidden("E")), [GOOD, "hidden columns that are read: 门槛(元)"]),
    "a hidden column of a name": (book(lambda sheet: (sheet.append([]), hidden("H")(sheet))), [GOOD]),
    "a column without width": (
        book(
            parts=lambda parts: {
                **parts,
                "xl/worksheets/sheet1.xml": parts["xl/worksheets/sheet1.xml"].replace(
                    b"<sheetData>", b'<cols><col min="5" max="6" width="0" customWidth="1"/></cols><sheetData>'
                ),
            }
        ),
        [GOOD, "hidden columns that are read: 门槛(元), 减免(元)"],
    ),
    "a row without height": (
        book(
            parts=lambda parts: {
                **parts,
                "xl/worksheets/sheet1.xml": parts["xl/worksheets/sheet1.xml"].replace(
                    b'<row r="2"', b'<row ht="0" r="2"'
                ),
            }
        ),
        [GOOD, "noted 1 the row is hidden in the workbook, and was taken; --skip-hidden leaves such rows out"],
    ),
    "a value below a merged cell": (
        book(
            parts=lambda parts: {
                **parts,
                "xl/worksheets/sheet1.xml": parts["xl/worksheets/sheet1.xml"].replace(
                    b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="E2:F2"/></mergeCells>'
                ),
            }
        ),
        ["2 broken 减免(元): is required"],
    ),
    "a result of Excel": (book(cells={"E2": "><f>50*2</f><v>100</v>"}), [GOOD]),
    "a text of a formula": (book(cells={"A2": ' t="str"><f>"SP-"&amp;1</f><v>SP-1</v>'}), [GOOD]),
    "an error of a formula": (
        book(cells={"E2": ' t="e"><f>NA()</f><v>#N/A</v>'}),
        ["2 broken 门槛(元): holds a formula's"],
    ),
    "an id as a date": (
        book(cells={"A2": ' t="d"><v>2026-05-01</v>'}),
        ["2 broken 商品编号: is a date or a time to Excel"],
    ),
    "an id as a truth value": (book(cells={"A2": ' t="b"><v>1</v>'}), ["2 broken 商品编号: is TRUE to Excel"]),
    "an id of 18 digits": (
        book(cells={"A2": "><v>123456789012345678</v>"}),
        ["2 broken 商品编号: has more digits than"],
    ),
    "an id of rich text": (book(cells={"A2": ' t="inlineStr"><is><r><t>SP</t></r><r><t>-1</t></r></is>'}), [GOOD]),
    "an id of a link": (book(lambda sheet: setattr(sheet["A2"], "hyperlink", "https://shop.example/SP-1")), [GOOD]),
    "a frozen header": (book(lambda sheet: setattr(sheet, "freeze_panes", "B2")), [GOOD]),
    "a filter": (book(lambda sheet: setattr(sheet.auto_filter, "ref", "A1:G2")), [GOOD]),
    "a cell far away": (book(lambda sheet: sheet.__setitem__("XFD2", "x")), [GOOD]),
    "a row far below": (
        book(lambda sheet: [sheet.cell(1_048_576, at, cell.value) for at, cell in enumerate(sheet[2], 1)]),
        [GOOD, "1048576 SP-1 120344 满100元减20元", "noted 1 row: stands twice; it is the same work"],
    ),
}


@pytest.mark.parametrize("what", BOOKS)
@pytest.mark.parametrize("suffix", [".xlsx", ".xltx"])
def test_a_workbook_of_another_program(what, suffix, tmp_path):
    content, expected = BOOKS[what]
    (tmp_path / f"may{suffix}").write_bytes(content)
    with catalog.DuplicateIds() as seen, catalog.read(tmp_path / f"may{suffix}", seen=seen) as rows:
        found = [row_line(row) for row in rows]
        found += [line for line in rows.summary.lines() if "hidden" in line]
        found += [f"noted {count} {note}" for note, count in rows.notes.items()]
    assert [line[: len(wanted)] for line, wanted in zip(found, expected, strict=True)] == expected


def test_of_a_catalog_without_amounts_no_unit_is_told(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"row_id": "1", "brand_id": "1", "image_generation_type": "CUT_OUT", '
        '"cut_out": {"image_url": "https://wxpaylogo.qpic.cn/a.jpg"}}\n'
    )
    (tmp_path / "a.csv").write_text("品牌ID,商品图,门槛(元)\n1,https://wxpaylogo.qpic.cn/a.jpg,\n")
    for name in ("a.jsonl", "a.csv"):
        with catalog.read(tmp_path / name) as rows:
            assert [type(row) for row in rows] == [catalog.Row]
            assert rows.summary.lines() == []


# --- and damaged ones -------------------------------------------------------------------------------------------------

DAMAGE = [
    b"",
    b"\0",
    b'"',
    b"\n",
    b"<",
    b"/>",
    b"&x;",
    b"\xff\xfe",
    b"9" * 5000,
    b"[" * 3000,
    b"x" * 70_000,
    "品牌ID".encode(),
    b"-1",
]


def damaged(content, chance):
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        content = content[:at] + chance.choice(DAMAGE) + content[at + chance.choice([0, 1, 8, 200]) :]
    return content


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_is_rows_or_one_sentence(seed, tmp_path):
    chance = random.Random(seed)
    for name in sorted(CASES):
        content = (FILES / name).read_bytes()
        try:
            parts = parts_of(content) if name.endswith(".xlsx") and chance.random() < 0.7 else {}
        except (RuntimeError, NotImplementedError):  # one with a password, one that is packed in another way
            parts = {}
        if parts:
            part = chance.choice(sorted(parts))
            content = zipped(parts | {part: damaged(parts[part], chance)})
        else:
            content = damaged(content, chance)
        (tmp_path / name).write_bytes(content)
        for line in read_lines(tmp_path / name):
            assert "\n" not in line or " broken " in line or line.split()[0].isdigit()
            assert not line.startswith("refused") or len(line) < 1500
