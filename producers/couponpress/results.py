"""Outcomes as files that people and programs read: CSV for a spreadsheet, JSON lines for a program.

Decides the columns and their order. Refuses to know where outcomes come from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Literal, TextIO

from couponpress.outcome import Outcome

ResultFormat = Literal["csv", "jsonl"]

COLUMNS = tuple(field.name for field in fields(Outcome))

#: Excel takes a CSV file for UTF-8 only when it begins so.
BYTE_ORDER_MARK = "\ufeff"


def write_results(outcomes: Iterable[Outcome], stream: TextIO, format_name: ResultFormat) -> int:
    """Write one line per outcome; returns how many. The stream must keep line ends as they are (newline="")."""
    return _write_csv(outcomes, stream) if format_name == "csv" else _write_jsonl(outcomes, stream)


def _write_csv(outcomes: Iterable[Outcome], stream: TextIO) -> int:
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    count = 0
    for outcome in outcomes:
        writer.writerow(_harmless(getattr(outcome, name)) for name in COLUMNS)
        count += 1
    return count


def _write_jsonl(outcomes: Iterable[Outcome], stream: TextIO) -> int:
    count = 0
    for outcome in outcomes:
        stream.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
        count += 1
    return count


def _harmless(cell: str | int) -> str | int:
    """Keep a spreadsheet from running a cell as a formula: text of others, such as a platform's message."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in {"=", "+", "@", "\t", "\r"} else cell
