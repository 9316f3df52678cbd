"""Outcomes as files that people and programs read: CSV for a spreadsheet, JSON lines for a program.

Decides the columns and their order. Refuses to know where outcomes come from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Literal, TextIO

from couponpress.outcome import Outcome

ResultFormat = Literal["csv", "jsonl"]

COLUMNS = tuple(field.name for field in fields(Outcome))

#: Excel takes a CSV file for UTF-8 only when it begins so.
BYTE_ORDER_MARK = "\ufeff"


def write_results(outcomes: Iterable[Outcome], stream: TextIO, format_name: ResultFormat) -> int:
    """Write one line per outcome; returns how many. The stream must keep line ends as they are (newline="")."""
    lines = 0
    for line in result_lines(outcomes, format_name):
        stream.write(line)
        lines += 1
    return lines - (format_name == "csv")


def result_lines(outcomes: Iterable[Outcome], format_name: ResultFormat) -> Iterator[str]:
    """Yield the header of a CSV file, then one line per outcome, each with its line end."""
    if format_name == "jsonl":
        for outcome in outcomes:
            yield json.dumps(asdict(outcome), ensure_ascii=False) + "\n"
        return
    written: list[str] = []
    writer = csv.writer(_Lines(written), lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield written.pop()
    for outcome in outcomes:
        writer.writerow(_harmless(getattr(outcome, name)) for name in COLUMNS)
        yield written.pop()


class _Lines:
    """What a CSV writer takes for a file: a list that gets its lines."""

    def __init__(self, written: list[str]) -> None:
        self.write = written.append


def _harmless(cell: str | int) -> str | int:
    """Keep a spreadsheet from running a cell as a formula: text of others, such as a platform's message."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in {"=", "+", "@", "\t", "\r"} else cell
