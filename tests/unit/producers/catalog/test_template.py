"""The example catalog: taken as it is, in every form, and true to what is read."""

import openpyxl
import pytest
from openpyxl.worksheet.table import Table

from couponpress import catalog
from couponpress.catalog.template import COLUMNS, ROWS, write_template
from couponpress.catalog.vocabulary import meaning_of
from couponpress.errors import CatalogError
from couponpress.uploads.catalog_upload import CatalogUpload
from tests.workbooks import beyond_excel_2007


def written(path):
    write_template(path)
    return path


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".tsv", ".CSV"])
def test_a_template_is_a_good_catalog(tmp_path, suffix):
    upload = CatalogUpload([str(written(tmp_path / f"coupons{suffix}"))], strict=True)
    specs = [one.spec() for one in upload.specs()]
    assert (len(specs), upload.broken) == (len(ROWS), 0)
    coupons = [spec.combine_image.type if spec.combine_image else "CUT_OUT" for spec in specs]
    assert coupons == ["NORMAL", "DISCOUNT", "EXCHANGE", "CUT_OUT"]
    assert not any("not sent" in line for line in upload.report().splitlines())


def test_both_forms_say_the_same(tmp_path):
    rows = []
    for suffix in (".xlsx", ".csv"):
        with catalog.read(written(tmp_path / f"coupons{suffix}")) as found:
            rows.append([row.serialized_spec for row in found])
    assert rows[0] == rows[1]


def test_excel_knows_the_csv_for_utf8(tmp_path):
    assert written(tmp_path / "coupons.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_workbook_and_its_error_workbook_open_in_programs_that_know_excel_2007_alone(tmp_path):
    path = written(tmp_path / "coupons.xlsx")
    assert beyond_excel_2007(path) == []
    book = openpyxl.load_workbook(path)
    book.worksheets[0].cell(2, 2).value = "wrong brand!"
    book.worksheets[0].add_table(Table(displayName="t", ref="A1:C3"))
    book.save(path)
    assert {"xl/tables/table1.xml", "xl/worksheets/sheet1.xml: <tableParts"} <= set(beyond_excel_2007(path))
    upload = CatalogUpload([str(path)])
    assert (sum(1 for _ in upload.specs()), upload.broken) == (len(ROWS) - 1, 1)
    assert beyond_excel_2007(tmp_path / "coupons.errors.xlsx") == []


def test_every_column_is_explained_and_its_choices_are_understood(tmp_path):
    book = openpyxl.load_workbook(written(tmp_path / "coupons.xlsx"))
    explained = [[cell.value for cell in row] for row in book["说明"]]
    assert [row[0] for row in explained[1 : len(COLUMNS) + 1]] == [column.header for column in COLUMNS]
    for column in COLUMNS:
        meaning = meaning_of(column.header)
        assert meaning is not None
        assert column.header in meaning.names
        assert all(meaning.read(choice).isascii() for choice in column.choices)
    assert len(book["优惠券"].data_validations.dataValidation) == sum(bool(column.choices) for column in COLUMNS)
    assert {cell.number_format for row in book["优惠券"] for cell in row} == {"@"}


@pytest.mark.parametrize("name", ["coupons.xls", "coupons", "coupons.jsonl"])
def test_other_forms_are_refused(tmp_path, name):
    with pytest.raises(CatalogError, match=r"a template ends in \.xlsx, \.csv, \.tsv"):
        write_template(tmp_path / name)


def test_what_is_there_is_left_alone(tmp_path):
    (tmp_path / "coupons.xlsx").write_text("mine", encoding="utf-8")
    with pytest.raises(CatalogError, match="is there already; remove it, or name another file with -o"):
        write_template(tmp_path / "coupons.xlsx")
    assert (tmp_path / "coupons.xlsx").read_text(encoding="utf-8") == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CatalogError, match="cannot be written"):
        write_template(tmp_path / "none" / "coupons.csv")


def test_without_openpyxl_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(CatalogError, match=r"pip install 'couponpress\[excel\]', or write .*coupons\.csv"):
        write_template(tmp_path / "coupons.xlsx")
    assert not (tmp_path / "coupons.xlsx").exists()
