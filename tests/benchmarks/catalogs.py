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


#: What a small catalog is, and how much more than for it a process may hold for the large one.
FEW_ROWS = 1_000
GOAL_LARGE_BY_SMALL = 1.10


def measure(bench: Bench) -> list[Line]:
    """Read a million rows as CSV, and 200,000 as a workbook."""
    rows = 100_000 if bench.quick else 1_000_000
    in_sheet = min(rows, 200_000)
    lines = []
    for name, path, count in (
        ("CSV", bench.catalog(rows), rows),
        ("a workbook", _workbook(bench.catalog(in_sheet)), in_sheet),
    ):
        took = _read(path, count)
        note = f"{count} rows; those of its process, Python and imports included"
        lines.append(Line("catalogs", f"peak memory reading {name}", "MB", [took["peak_mb"]], GOAL_PEAK_MB, note=note))
        if name == "CSV":
            few = _read(bench.catalog(FEW_ROWS), FEW_ROWS)["peak_mb"]
            ratio, note = took["peak_mb"] / few, f"{count} rows by {FEW_ROWS}, which took {few:.1f} MB"
            lines.append(
                Line("catalogs", "peak memory, large CSV by small", "ratio", [ratio], GOAL_LARGE_BY_SMALL, note=note)
            )
        lines.append(
            Line("catalogs", f"CPU per row of {name}", "us", [took["cpu_seconds"] / count * 1e6], note="read, checked")
        )
    return lines


def _read(path: Path, rows: int) -> dict[str, float]:
    """Read a catalog in a process of its own; returns what that took."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.reader", str(path)], capture_output=True, text=True, check=True
    )
    took = json.loads(done.stdout)
    if took["rows"] != rows:
        raise RuntimeError(f"{took['rows']} of {rows} rows were good")
    return took


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
