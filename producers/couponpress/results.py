"""Outcomes as files that people and programs read: a workbook or CSV for a spreadsheet, JSON lines for a program.

The columns are the fields of `Outcome`, in their order. A workbook needs `couponpress[excel]`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from couponpress.errors import InputError
from couponpress.language import gettext
from couponpress.outcome import Outcome
from couponpress.stored_sentences import in_words

#: What is written as text, line by line.
ResultFormat = Literal["csv", "jsonl"]

COLUMNS = tuple(field.name for field in fields(Outcome))
_cells: Final = attrgetter(*COLUMNS)

#: How many outcomes a sheet of a workbook takes; Excel itself takes 1,048,576 rows.
SHEET_ROWS: Final = 1_000_000
#: How wide its columns are, in letters; others have 16.
_WIDTHS: Final = {"row_id": 24, "task_id": 28, "image_url": 50, "message": 60, "request_id": 34}
#: Excel takes a CSV file for UTF-8 only when it begins so.
BYTE_ORDER_MARK = "\ufeff"
#: With one of these a formula begins.
_RUN: Final = ("=", "+", "@", "\t", "\r")


def write_results(outcomes: Iterable[Outcome], stream: TextIO, format_name: ResultFormat) -> int:
    """Write one line per outcome; returns how many. The stream must keep line ends as they are (newline="")."""
    lines = 0
    for line in result_lines(outcomes, format_name):
        stream.write(line)
        lines += 1
    return lines - (format_name == "csv")


def write_results_workbook(outcomes: Iterable[Outcome], path: Path) -> int:
    """Write a workbook with one row per outcome, and another sheet where one is full; returns how many rows.

    Raises:
        InputError: openpyxl is not installed.
        OSError: the file cannot be written.
    """
    try:
        from openpyxl import Workbook  # noqa: PLC0415 - an extra, and slow to load
        from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415
    except ImportError:
        raise InputError(
            gettext(
                "a workbook needs openpyxl, which is not installed: pip install 'couponpress[excel]', or "
                "write %(path)s."
            )
            % {"path": path.with_suffix(".csv")}
        ) from None
    book: Any = Workbook(write_only=True)
    sheet: Any = None
    rows = 0

    def cell_of(value: str | int) -> object:
        if value == "":
            return None
        cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value) if isinstance(value, str) else value)
        if isinstance(value, str):
            # Text whatever it begins with: no formula, and no id that becomes a number.
            cell.data_type, cell.number_format = "s", "@"
        return cell

    unfinished = path.with_name(f".{path.name}.part")
    try:
        for outcome in outcomes:
            if rows % SHEET_ROWS == 0:
                sheet = _new_sheet(book, rows // SHEET_ROWS + 1)
            sheet.append([cell_of(value) for value in _for_people(outcome)])
            rows += 1
        if sheet is None:
            _new_sheet(book, 1)
        book.save(unfinished)
        unfinished.replace(path)
    except BaseException:
        for one in book.worksheets:
            one.close()  # else openpyxl complains of it on standard error
        raise
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _new_sheet(book: Any, number: int) -> Any:  # noqa: ANN401 - openpyxl's
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    sheet = book.create_sheet("results" if number == 1 else f"results {number}")
    sheet.freeze_panes = "A2"
    for column, name in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(column)].width = _WIDTHS.get(name, 16)
    sheet.append(COLUMNS)
    return sheet


def result_lines(outcomes: Iterable[Outcome], format_name: ResultFormat) -> Iterator[str]:
    """Yield the header of a CSV file, then one line per outcome, each with its line end."""
    if format_name == "jsonl":
        for outcome in outcomes:
            yield json.dumps(dict(zip(COLUMNS, _cells(outcome), strict=True)), ensure_ascii=False) + "\n"
        return
    written: list[str] = []
    writer = csv.writer(_Lines(written), lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield written.pop()
    for outcome in outcomes:
        writer.writerow(map(harmless, _for_people(outcome)))
        yield written.pop()


def _for_people(outcome: Outcome) -> tuple[str | int, ...]:
    """Return the cells of a line; the reason in the reader's language, where it is a known one."""
    return _cells(replace(outcome, message=in_words(outcome.message)) if outcome.message else outcome)


class _Lines:
    """What a CSV writer takes for a file: a list that gets its lines."""

    def __init__(self, written: list[str]) -> None:
        self.write = written.append


def survives_excel(cell: str) -> bool:
    """Whether a spreadsheet that opens a CSV file leaves an id as it is: it takes digits for a number, and keeps 15.

    >>> survives_excel("SP-1"), survives_excel("690123456789012345"), survives_excel("00123")
    (True, False, False)
    """
    return not (cell.isdecimal() and (len(cell) > 15 or cell[0] == "0"))


def harmless(cell: str | int) -> str | int:
    """Keep a spreadsheet from running a cell as a formula: text of others, such as a platform's message."""
    return "'" + cell if isinstance(cell, str) and cell.startswith(_RUN) else cell
