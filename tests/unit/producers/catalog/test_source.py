"""Where a night's rows come from."""

import sys
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from couponpress.errors import InputError
from couponpress.nightly.schedule_file import Schedule
from couponpress.nightly.source import files_of, rows_of, trouble_of
from tests.builders import cut_out_body, spec

HEADER = "row_id,brand_id,image_generation_type,image_url\n"


def schedule(*source, **changes):
    values = {"name": "n", "cron": "0 2 * * *", "time_zone": "UTC", "source": list(source), **changes}
    return Schedule(**values)


def test_globs_are_looked_up_from_the_file_s_folder_and_error_files_are_no_catalogs(tmp_path):
    home = tmp_path / "odd [name]"
    home.mkdir()
    for name in ("b.csv", "a.csv", "a.errors.csv", "a.results.csv", "c.jsonl"):
        (home / name).write_text("")
    (home / "folder.csv").mkdir()
    found = files_of(schedule("*.csv", str(home).replace("[", "[[]") + "/c.*", "a.csv"), home)
    assert [name.removeprefix(f"{home}/") for name in found] == ["a.csv", "b.csv", "c.jsonl"]


def test_a_glob_without_files_says_where_it_looked(tmp_path):
    with pytest.raises(InputError, match=r"\[schedule.n\] source: no file matches 'x/\*.csv' from .* on this machine"):
        files_of(schedule("x/*.csv"), tmp_path)
    assert "no file matches" in trouble_of(schedule("x/*.csv"), tmp_path)
    (tmp_path / "y.csv").write_text("")
    assert trouble_of(schedule("*.csv"), tmp_path) is None


def test_a_catalog_s_options_reach_it(tmp_path):
    (tmp_path / "rows.txt").write_text(HEADER + "r-1,120344,CUT_OUT,https://wxpaylogo.qpic.cn/wxpaylogo/1.png\n")
    rows = rows_of(schedule("rows.txt", format="csv"), tmp_path)
    assert [one.row_id for one in rows.specs()] == ["r-1"]
    (tmp_path / "export.csv").write_text(
        "May\nno header\n" + HEADER + "NULL,120344,CUT_OUT,https://wxpaylogo.qpic.cn/1\n"
    )
    rows = rows_of(schedule("export.csv", header_row=3, empty="NULL"), tmp_path)
    assert [one.row_id for one in rows.specs()] == ["4"]
    (tmp_path / "rows.csv").write_text(HEADER + "r-1,120344,CUT_OUT,nonsense\n")
    rows = rows_of(schedule("rows.csv", strict=True, upload=False), tmp_path)
    with pytest.raises(InputError, match="1 broken row of 1"):
        list(rows.specs())


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text):
        (tmp_path / "their_rows.py").write_text(text)
        sys.modules.pop("their_rows", None)

    yield write
    sys.modules.pop("their_rows", None)


def test_a_callable_gives_specs_and_mappings(module, tmp_path):
    module(
        "def rows():\n    from tests.builders import spec, cut_out_body\n    yield spec(1)\n    yield cut_out_body(2)\n"
    )
    rows = rows_of(schedule("their_rows:rows"), tmp_path)
    assert [one.task_id for one in rows.specs()] == [spec(1).task_id, cut_out_body(2)["task_id"]]
    assert (rows.good, rows.broken) == (2, 0)


BROKEN = "def rows():\n    yield {'brand_id': '1', 'nonsense': 2}\n    yield 3\n"


def test_broken_rows_of_a_callable_are_told(module, tmp_path):
    module(BROKEN)
    rows = rows_of(schedule("their_rows:rows"), tmp_path)
    assert list(rows.specs()) == []
    assert (rows.good, rows.broken) == (0, 2)
    assert "row 1: " in rows.report()
    assert "row 2: " in rows.report()


def test_with_strict_one_broken_row_refuses_all(module, tmp_path):
    module(BROKEN)
    with pytest.raises(InputError, match="2 broken ones"):
        list(rows_of(schedule("their_rows:rows", strict=True), tmp_path).specs())


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("no_such_module:rows", "cannot be imported .No module named 'no_such_module'.; is it in PYTHONPATH"),
        ("their_rows:cows", "their_rows has no function 'cows'"),
    ],
)
def test_a_callable_that_is_not_there(module, tmp_path, source, sentence):
    module(BROKEN)
    with pytest.raises(InputError, match=sentence):
        rows_of(schedule(source), tmp_path)
    assert trouble_of(schedule(source), tmp_path)


def test_defaults_are_those_of_the_file():
    assert schedule("x").grace == timedelta(hours=1)
    assert schedule("x").time_zone == ZoneInfo("UTC")
