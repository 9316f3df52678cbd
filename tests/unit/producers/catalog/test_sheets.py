"""`--sheet all`: the sheets of a workbook, one after the other."""

import re

import openpyxl
import pytest

from couponpress import catalog
from couponpress.errors import CatalogError, InputError
from couponpress.outcome import Outcome
from couponpress.spec import task_ids_of
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.joining import OutcomeTable, join_all
from tests.workbooks import parts_of, zipped

YUAN = ["品牌ID", "优惠范围", "券类型", "门槛(元)", "减免(元)"]
#: Another order, another unit, and an id of its own.
CENTS = ["减免(分)", "门槛(分)", "商品编号", "券类型", "优惠范围", "品牌ID"]


def written(path, sheets):
    """Write sheets: title -> state and rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, (state, *rows) in sheets.items():
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


@pytest.fixture
def may(tmp_path):
    return written(
        tmp_path / "may.xlsx",
        {
            "说明": ("visible", ["How to fill this in"], ["品牌ID", "digits"], ["门槛(元)", "yuan"]),
            "五月": ("visible", YUAN, ["120344", "全场", "满减券", 100, 20], ["bad id!", "全场", "满减券", 100, 30]),
            "旧": ("hidden", YUAN, ["120344", "全场", "满减券", 1, 1]),
            "六月": (
                "visible",
                ["六月的券"],
                CENTS,
                [5000, 20000, "J-1", "满减券", "单品", "120345"],
                [5000, 1, "J-2", "满减券", "单品", "120345"],
            ),
        },
    )


def offers(upload):
    return [
        (one.spec().row_id, one.spec().brand_id, one.spec().combine_image.normal_coupon.threshold)
        for one in upload.specs()
    ]


def test_each_sheet_has_its_own_header_and_its_lines_do_not_meet(may):
    upload = CatalogUpload([may], sheet="all")
    upload.check()
    assert offers(upload) == [("五月:2", "120344", 10000), ("J-1", "120345", 20000)]
    assert (upload.good, upload.broken) == (2, 2)
    report = upload.report()
    assert f"{may}, sheet '五月': read is the sheet '五月'; not read: 说明, 旧 (hidden)" in report
    assert f"{may}, sheet '五月': amounts are read in yuan (元): 门槛(元), 减免(元)" in report
    assert f"{may}, sheet '六月': amounts are read in cents (分): 减免(分), 门槛(分)" in report
    assert report.count("not read") == 1


def test_the_broken_rows_of_each_sheet_go_back_in_a_file_that_names_it(may, tmp_path):
    upload = CatalogUpload([may], sheet="all")
    list(upload.specs())
    assert [path.name for path in upload.error_files] == ["may.五月.errors.xlsx", "may.六月.errors.xlsx"]
    assert upload.next_commands("may")[0] == f"couponpress submit {tmp_path / 'may.五月.errors.xlsx'} --run may"
    with catalog.read(upload.error_files[0]) as rows:
        assert (rows.sheet, rows.header[:2]) == ("五月", ("_line", "_problem"))
        (row,) = rows
    assert row.default_row_id == "五月:3"  # so that the mended row is the same row


def test_another_file_beside_it_is_read_too_and_a_sheet_of_this_name_goes_before(may, tmp_path):
    other = written(
        tmp_path / "all.xlsx", {"一": ("visible", YUAN), "all": ("visible", YUAN, ["1", "全场", "满减券", 2, 1])}
    )
    upload = CatalogUpload([may, other], sheet="all")
    assert offers(upload) == [("may:五月:2", "120344", 10000), ("J-1", "120345", 20000), ("all:2", "1", 200)]


def test_a_sheet_whose_header_lacks_columns_stops_the_file_and_is_named(tmp_path):
    path = written(
        tmp_path / "may.xlsx",
        {
            "五月": ("visible", YUAN, ["1", "全场", "满减券", 2, 1]),
            "六月": ("visible", YUAN[:4], ["1", "全场", "满减券", 2]),
        },
    )
    with pytest.raises(CatalogError, match=r"may.xlsx, sheet '六月': line 1 .* is no usable header"):
        CatalogUpload([path], sheet="all").check()
    path = written(tmp_path / "notes.xlsx", {"一": ("visible", ["a"]), "二": ("visible", ["b"])})
    with pytest.raises(CatalogError, match=r"notes.xlsx: line 1 \(a\) is no usable header"):
        CatalogUpload([path], sheet="all").check()


def test_one_error_file_is_not_enough_for_several_sheets(may, tmp_path):
    with pytest.raises(InputError, match="several sheets are read"):
        CatalogUpload([may], sheet="all", errors=tmp_path / "errors.xlsx").check()


def test_two_sheets_of_one_name_are_told(may, tmp_path):
    with open(may, "rb") as file:  # noqa: PTH123
        parts = parts_of(file.read())
    book = parts["xl/workbook.xml"].replace("六月".encode(), "五月".encode())
    (tmp_path / "twice.xlsx").write_bytes(zipped(parts | {"xl/workbook.xml": book}))
    with pytest.raises(CatalogError, match="two sheets of the name '五月'"):
        CatalogUpload([str(tmp_path / "twice.xlsx")], sheet="all").check()


@pytest.mark.parametrize("content", ["品牌ID,商品图\n", ""])
def test_what_is_no_workbook_has_no_sheets(tmp_path, content):
    (tmp_path / "may.csv").write_text(content)
    with pytest.raises(
        CatalogError, match=re.escape("is no workbook and has no sheet 'all'") if content else "is empty"
    ):
        CatalogUpload([str(tmp_path / "may.csv")], sheet="all").check()


def test_the_outcomes_of_each_sheet_go_to_a_file_of_its_own(may):
    known = Outcome(
        "五月:2", task_ids_of("may")("五月:2"), "120344", "succeeded", image_url="https://wxpaylogo.qpic.cn/1.png"
    )
    written_files = join_all([may], None, OutcomeTable("may", [known]), sheet="all")
    assert [(path.name, rows) for path, rows in written_files] == [
        ("may.五月.results.xlsx", 2),
        ("may.六月.results.xlsx", 2),
    ]
    with catalog.read(written_files[0][0]) as rows:
        first, second = rows
    assert [cell.value for cell in first.given[:2]] == ["succeeded", "https://wxpaylogo.qpic.cn/1.png"]
    assert second.given[0].value == "not submitted"


def test_of_several_sheets_one_may_have_no_row_but_not_all(tmp_path):
    rows = ("visible", YUAN, ["120344", "全场", "满减券", 100, 20])
    path = written(tmp_path / "may.xlsx", {"五月": ("visible", YUAN), "六月": rows})
    assert offers(CatalogUpload([path], sheet="all")) == [("六月:2", "120344", 10000)]
    path = written(tmp_path / "june.xlsx", {"五月": ("visible", YUAN), "六月": ("visible", YUAN)})
    with pytest.raises(CatalogError, match="no sheet has a row below its header; nothing can be enqueued"):
        offers(CatalogUpload([path], sheet="all"))
