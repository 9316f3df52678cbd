"""What becomes of good and broken rows on their way into a run."""

import csv
import json
import re

import pytest

from couponpress.errors import CatalogError, InputError
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.file_names import default_run_name
from tests.builders import cut_out_body


def jsonl(path, *rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return str(path)


def good(number, **changes):
    return {"row_id": f"row {number}", **cut_out_body(number, **changes)}


BROKEN = {"row_id": "bad", **cut_out_body(9, brand_id="no brand")}


def test_good_rows_become_specs_in_their_order(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", good(1), good(2), good(3))])
    assert [spec.row_id for spec in upload.specs()] == ["row 1", "row 2", "row 3"]
    assert (upload.good, upload.broken, upload.error_files) == (3, 0, [])


def test_good_rows_go_on_when_others_are_broken(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", good(1), BROKEN, "no json", good(2))])
    assert [spec.row_id for spec in upload.specs()] == ["row 1", "row 2"]
    assert (upload.good, upload.broken) == (2, 2)


def test_broken_rows_go_into_a_file_beside_the_catalog(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", good(1), BROKEN)])
    list(upload.specs())
    assert upload.error_files == [tmp_path / "may.errors.jsonl"]
    (line,) = (tmp_path / "may.errors.jsonl").read_text(encoding="utf-8").splitlines()
    written = json.loads(line)
    assert "brand_id" in written["_problem"]
    assert written["brand_id"] == "no brand"


def test_broken_rows_go_where_they_are_told_to(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN)], errors=tmp_path / "mend.jsonl")
    list(upload.specs())
    assert upload.error_files == [tmp_path / "mend.jsonl"]
    assert not (tmp_path / "may.errors.jsonl").exists()


def test_without_broken_rows_there_is_no_error_file(tmp_path):
    list(CatalogUpload([jsonl(tmp_path / "may.jsonl", good(1))]).specs())
    assert [path.name for path in tmp_path.iterdir()] == ["may.jsonl"]


def test_broken_rows_of_a_csv_catalog_keep_its_columns(tmp_path):
    catalog = tmp_path / "may.csv"
    header = "row_id,brand_id,image_generation_type,image_url"
    rows = ["1,120344,CUT_OUT,https://wxpaylogo.qpic.cn/a.png", "2,120344,CUT_OUT,https://example.org/a.png"]
    catalog.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    upload = CatalogUpload([str(catalog)])
    assert [spec.row_id for spec in upload.specs()] == ["1"]
    with (tmp_path / "may.errors.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["row_id"] == "2"
    assert "wxpaylogo.qpic.cn" in row["_problem"]


def test_broken_rows_are_told_one_by_one(tmp_path):
    told = []
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN, good(1), BROKEN)], on_broken=told.append)
    list(upload.specs())
    assert [row.line for row in told] == [1, 3]


def test_a_strict_upload_is_refused_at_its_end_when_the_error_file_is_complete(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN, good(1), BROKEN)], strict=True)
    specs = upload.specs()
    assert next(specs).row_id == "row 1"
    with pytest.raises(CatalogError, match=r"2 broken rows of 3 \(see .*may\.errors\.jsonl\); nothing was enqueued"):
        next(specs)
    assert len((tmp_path / "may.errors.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_a_strict_upload_of_good_rows_goes_on(tmp_path):
    assert len(list(CatalogUpload([jsonl(tmp_path / "may.jsonl", good(1))], strict=True).specs())) == 1


def test_several_catalogs_are_one_upload(tmp_path):
    files = [jsonl(tmp_path / "a.jsonl", good(1), BROKEN), jsonl(tmp_path / "b.jsonl", BROKEN, good(2))]
    upload = CatalogUpload(files)
    assert [spec.row_id for spec in upload.specs()] == ["row 1", "row 2"]
    assert upload.error_files == [tmp_path / "a.errors.jsonl", tmp_path / "b.errors.jsonl"]


def test_rows_without_an_id_do_not_meet_between_catalogs(tmp_path):
    row = cut_out_body(1, task_id=None)
    upload = CatalogUpload([jsonl(tmp_path / "a.jsonl", row), jsonl(tmp_path / "b.jsonl", row)])
    assert len({spec.identified("may").task_id for spec in upload.specs()}) == 2


def test_a_second_catalog_that_is_missing_is_told_before_the_first_row(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "a.jsonl", good(1)), str(tmp_path / "b.jsonl")])
    with pytest.raises(CatalogError, match=r"b\.jsonl cannot be read"):
        next(upload.specs())
    assert upload.good == 0


def test_one_error_file_for_several_catalogs_is_refused(tmp_path):
    with pytest.raises(InputError, match="--errors names one file"):
        CatalogUpload(["a.jsonl", "b.jsonl"], errors=tmp_path / "errors.jsonl")


def test_an_error_file_that_cannot_be_written_is_told(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN)], errors=tmp_path / "none" / "errors.jsonl")
    with pytest.raises(CatalogError, match="cannot be written"):
        list(upload.specs())


def test_an_upload_that_stops_half_way_closes_its_files(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN, good(1), good(2))])
    specs = upload.specs()
    next(specs)
    specs.close()
    assert (tmp_path / "may.errors.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_the_report_counts_rows_and_names_what_a_person_should_know(tmp_path):
    catalog = tmp_path / "may.csv"
    header = "row_id,brand_id,image_generation_type,image_url,remark"
    rows = ["1,120344,CUT_OUT,https://wxpaylogo.qpic.cn/a.png,x", "2,,,,"]
    catalog.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    upload = CatalogUpload([str(catalog)])
    list(upload.specs())
    lines = upload.report().splitlines()
    assert lines[0] == "1 good row, 1 broken one"
    assert lines[1] == f"broken rows and their reasons: {tmp_path / 'may.errors.csv'}"
    assert lines[2] == f"not sent, columns of {catalog}: remark"


def test_the_report_counts_what_was_noted(tmp_path):
    stranger = {"combine_image": {"type": "NORMAL"}}
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", good(1) | stranger, good(2) | stranger)])
    list(upload.specs())
    assert "noted for 2 rows: combine_image: left out, it has no place here" in upload.report()


def test_the_same_catalog_is_the_same_run():
    assert default_run_name(["/somewhere/autumn 2026.csv", "other.csv"]) == "autumn 2026"


def test_standard_input_has_no_name():
    with pytest.raises(InputError, match="--run NAME"):
        default_run_name(["-"])


@pytest.mark.parametrize("name", ["may.errors.xlsx", "x/may.errors.csv", "may.errors.errors.csv", "may.csv"])
def test_an_error_file_belongs_to_the_run_of_its_catalog(name):
    assert default_run_name([name]) == "may"


def test_what_to_give_after_the_rows_are_mended(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN, good(1))])
    list(upload.specs())
    errors = tmp_path / "may.errors.jsonl"
    assert upload.next_commands("may") == [f"couponpress submit {errors}"]
    assert upload.next_commands("june") == [f"couponpress submit {errors} --run june"]


def test_an_old_error_file_goes_away_when_its_catalog_is_mended(tmp_path):
    path = tmp_path / "may.jsonl"
    list(CatalogUpload([jsonl(path, BROKEN, good(1))]).specs())
    assert (tmp_path / "may.errors.jsonl").exists()
    list(CatalogUpload([jsonl(path, good(1))]).specs())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["may.jsonl"]


def test_without_a_good_row_the_reasons_stand_in_the_report(tmp_path):
    upload = CatalogUpload([jsonl(tmp_path / "may.jsonl", BROKEN, BROKEN)])
    list(upload.specs())
    assert re.search(r"^ +2  \S+: \w+", upload.report(), re.MULTILINE)


def test_many_unused_columns_are_counted_not_listed(tmp_path):
    names = [f"c{number}" for number in range(5000)]
    (tmp_path / "may.csv").write_text(",".join(["brand_id", "image_url", *names]) + "\n1,x\n", encoding="utf-8")
    upload = CatalogUpload([str(tmp_path / "may.csv")])
    list(upload.specs())
    assert "c19 and 4,980 more" in upload.report()
    assert len(upload.report()) < 1000
