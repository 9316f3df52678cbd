"""Files that people had trouble with: what each row of them becomes, value by value.

The files lie in `cases/`. A line of a table is a row's line in its file, its id, its brand and its offer in words; or
`broken` with the first rule that it breaks; or `refused` for a file that is not read at all.
"""

from pathlib import Path

import pytest

from couponpress import catalog
from couponpress.catalog.summary import in_words
from couponpress.errors import CatalogError

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
        refused the amounts of a row are in two units: 'min_order_amount' is read in yuan,
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
