"""Catalogs of many rows or letters: they cost no memory, and a disk that gets full is told in one sentence."""

import json
import os
import resource
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from couponpress.errors import CatalogError
from tests.unit.producers.catalog.test_encodings import lines_of
from tests.unit.producers.catalog.test_workbook import NORMAL, read_all, workbook
from tests.unit.producers.catalog.test_workbook_parts import changed_sheet

ROOT = Path(__file__).parents[4]


def long_catalog(path, rows):
    with path.open("w", encoding="utf-8") as file:
        file.write("row_id,brand_id,scope,type,threshold_yuan,discount_yuan\n")
        file.writelines(f"SP-{number},120344,ALL,NORMAL,100,20\n" for number in range(rows))
    return str(path)


def peak_mb(path):
    command = [sys.executable, "-m", "tests.benchmarks.reader", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)["peak_mb"]


def test_memory_is_the_same_for_any_number_of_rows(tmp_path):
    few, many = (peak_mb(long_catalog(tmp_path / f"{rows}.csv", rows)) for rows in (20_000, 400_000))
    assert many <= 1.05 * few


def test_a_disk_that_gets_full_is_told_and_nothing_is_printed(tmp_path):
    command = [sys.executable, "-m", "couponpress", "submit", "--dry-run", long_catalog(tmp_path / "may.csv", 40_000)]
    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (4096, 4096))
    # An interpreter that keeps bytecode would leave the first 4096 bytes of it, which no later one can load.
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120, preexec_fn=full
    )
    assert done.returncode == 2
    assert "needs a temporary file, which failed (File too large)" in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["may.csv"]


def test_text_without_an_end_of_line_is_refused_before_it_fills_the_memory():
    with pytest.raises(CatalogError, match="more than 16 million letters"):
        list(lines_of(b"x" * 17 * 1024 * 1024))


def test_a_hundred_thousand_empty_rows_cost_no_memory():
    empty = b"".join(b'<row r="%d" s="1" customFormat="1"/>' % number for number in range(3, 100_000))
    content = changed_sheet(workbook(NORMAL), b"</sheetData>", empty + b"</sheetData>")
    tracemalloc.start()
    try:
        assert len(read_all(content)[1]) == 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 << 20
