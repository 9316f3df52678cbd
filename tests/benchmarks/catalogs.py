"""What it takes to read a long catalog: memory and CPU, as a table and as a workbook."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import openpyxl

from tests.benchmarks.bench import Bench, Line

#: What the process holds before the first row, openpyxl included, is some 75 MB of it.
GOAL_PEAK_MB = 200.0


def measure(bench: Bench) -> list[Line]:
    """Read a million rows as CSV, and 200,000 as a workbook."""
    rows = 100_000 if bench.quick else 1_000_000
    in_sheet = min(rows, 200_000)
    lines = []
    for name, path, count in (
        ("CSV", bench.catalog(rows), rows),
        ("a workbook", _workbook(bench.catalog(in_sheet)), in_sheet),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.reader", str(path)], capture_output=True, text=True, check=True
        )
        took = json.loads(done.stdout)
        if took["rows"] != count:
            raise RuntimeError(f"{took['rows']} of {count} rows were good")
        note = f"{count} rows; those of its process, Python and imports included"
        lines.append(Line("catalogs", f"peak memory reading {name}", "MB", [took["peak_mb"]], GOAL_PEAK_MB, note=note))
        lines.append(
            Line("catalogs", f"CPU per row of {name}", "us", [took["cpu_seconds"] / count * 1e6], note="read, checked")
        )
    return lines


def _workbook(catalog: Path) -> Path:
    path = catalog.with_suffix(".xlsx")
    if not path.exists():
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        with catalog.open(encoding="utf-8-sig", newline="") as file:
            for line in csv.reader(file):
                sheet.append(line)
        book.save(path)
    return path
