"""Ids that stand twice: the same work, or a broken row that names the first."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress import catalog
from couponpress.catalog.duplicate_ids import REPEATED, DuplicateIds
from couponpress.uploads.catalog_upload import CatalogUpload

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"
HEADER = "商品编号,任务编号,品牌ID,商品图"


def table(path, *rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def uploaded(*files, **options):
    told = []
    upload = CatalogUpload([str(one) for one in files], on_broken=told.append, **options)
    return upload, list(upload.specs()), [[str(problem) for problem in row.problems] for row in told]


def test_a_row_that_stands_twice_with_other_content_is_broken_and_names_the_first(tmp_path):
    may = table(tmp_path / "may.csv", f"a,,1,{URL}", f"b,,1,{URL}", f"a,,2,{URL}", f"c,,1,{URL}")
    upload, specs, told = uploaded(may)
    assert told == [["商品编号: stands in line 2 too, with other content (got 'a')"]]
    assert [spec.row_id for spec in specs] == ["a", "b", "c"]
    assert (upload.good, upload.broken) == (3, 1)
    written = (tmp_path / "may.errors.csv").read_text("utf-8").splitlines()
    assert written[1].startswith('4,"商品编号: stands in line 2 too')


def test_a_task_id_that_stands_twice(tmp_path):
    may = table(tmp_path / "may.csv", f"a,task-1,1,{URL}", f"b,task-1,2,{URL}", f"a,task-1,3,{URL}", f"a,,1,{URL}")
    _, specs, told = uploaded(may)
    assert told == [
        ["任务编号: stands in line 2 too, with other content (got 'task-1')"],
        [
            "商品编号: stands in line 2 too, with other content (got 'a')",
            "任务编号: stands in line 2 too, with other content (got 'task-1')",
        ],
        ["商品编号: stands in line 2 too, with other content (got 'a')"],
    ]
    assert len(specs) == 1


def test_the_same_row_twice_is_the_same_work(tmp_path):
    may = table(tmp_path / "may.csv", f"a,task-1,1,{URL}", f"a,task-1,1,{URL}", f"b,task-1,1,{URL}", f"c,,1,{URL}")
    upload, specs, told = uploaded(may)
    assert (told, len(specs)) == ([], 4)
    assert f"noted for 2 rows: {REPEATED}" in upload.report()


def test_a_line_number_may_be_another_rows_own_id(tmp_path):
    _, _, told = uploaded(table(tmp_path / "may.csv", f"3,,1,{URL}", f",,2,{URL}"))
    assert told == [["商品编号: stands in line 2 too, with other content (got '3')"]]


def test_a_task_id_stands_for_a_row_id(tmp_path):
    _, _, told = uploaded(table(tmp_path / "may.csv", f",task-1,1,{URL}", f"task-1,,1,{URL}"))
    assert told == [["商品编号: stands in line 2 too, with other content (got 'task-1')"]]


def test_rows_of_several_files(tmp_path):
    line = {"row_id": "a", "brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}}
    may, june = table(tmp_path / "may.csv", f"b,,1,{URL}", f"a,,1,{URL}"), tmp_path / "june.jsonl"
    june.write_text(json.dumps(line) + "\n" + json.dumps({**line, "brand_id": "2"}) + "\n", encoding="utf-8")
    _, specs, told = uploaded(may, june)
    assert told == [[f"row_id: stands in line 3 of {may} too, with other content (got 'a')"]]
    assert len(specs) == 3


def test_every_reading_begins_anew(tmp_path):
    upload = CatalogUpload([table(tmp_path / "may.csv", f"a,,1,{URL}")])
    assert [len(list(upload.specs())) for _ in range(2)] == [1, 1]
    assert upload.report() == "1 good row"


def test_a_strict_upload_refuses_a_row_that_stands_twice(tmp_path):
    may = table(tmp_path / "may.csv", f"a,,1,{URL}", f"a,,2,{URL}")
    with pytest.raises(catalog.reader.CatalogError, match="1 broken row of 2"):
        uploaded(may, strict=True)


#: Rows of one or two ids; the brand is the content.
ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "", "task-1", "task-2"]), st.sampled_from("12")),
    min_size=1,
    max_size=25,
)


@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.integers(1, 12))
def test_first_come_first_served_wherever_the_first_is_kept(tmp_path_factory, files, spill_after):
    """Over several files, with ids that stand twice on both sides of what went to disk, against a dict."""
    folder = tmp_path_factory.mktemp("catalogs")
    first, repeated = {}, 0
    with DuplicateIds(spill_after) as seen:
        for number, rows in enumerate(files):
            name = table(folder / f"{number}.csv", *(f"{row},{task},{brand},{URL}" for row, task, brand in rows))
            with catalog.read(name, seen=seen) as found:
                read = list(found)
            for (row_id, task_id, brand), row in zip(rows, read, strict=True):
                told, content, twice = [], (task_id, brand), False
                for column, key in (("商品编号", row_id), ("任务编号", task_id)):
                    if not key:
                        continue
                    at, line, known = first.setdefault((column, key), (number, row.line, content))
                    twice = twice or (at, line) != (number, row.line)
                    if known != content:
                        of_file = "" if at == number else f" of {folder / str(at)}.csv"
                        rule = f"stands in line {line}{of_file} too, with other content"
                        told.append(f"{column}: {rule} (got '{key}')")
                assert list(map(str, getattr(row, "problems", ()))) == told
                repeated += twice and not told
            repeated -= found.notes[REPEATED]
    assert repeated == 0
