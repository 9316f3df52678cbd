"""Broken rows of a workbook go back as a workbook: the cells as they were, with their types and formats.

Decides how a stored cell is written again. Refuses to know what the columns in front of it say. Needs
`couponpress[excel]`, which the workbook that was read needed too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO, Final

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.cell.cell import ERROR_CODES, ILLEGAL_CHARACTERS_RE

from couponpress.catalog.rows import PROBLEM, SheetCell

_REASON_WIDTH: Final = 60


class ErrorWorkbook:
    """A workbook of one sheet, written row by row into an open file."""

    def __init__(self, file: BinaryIO, title: str, header: list[str]) -> None:
        self._file = file
        self._book = Workbook(write_only=True)
        self._sheet: Any = self._book.create_sheet(title)
        self._sheet.freeze_panes = "A2"
        for at, name in enumerate(header):
            if name.strip() == PROBLEM:
                self._sheet.column_dimensions[chr(ord("A") + at)].width = _REASON_WIDTH
                break
        self.append(SheetCell(name or None, "@") for name in header)

    def append(self, cells: Iterable[SheetCell]) -> None:
        """Add a row."""
        self._sheet.append([self._written(cell) for cell in cells])

    def close(self) -> None:
        """Write the workbook and close the file."""
        with self._file:
            self._book.save(self._file)

    def _written(self, cell: SheetCell) -> Cell | None:
        value = cell.value
        if value is None:
            return None
        if cell.is_error:
            # A formula without a result stays an error until somebody writes a value.
            value = value if value in ERROR_CODES else "#N/A"
        elif isinstance(value, str):
            value = ILLEGAL_CHARACTERS_RE.sub("", value)
        made = WriteOnlyCell(self._sheet, value=value)
        if isinstance(value, str) and not cell.is_error:
            made.data_type = "s"  # no formula, whatever the text begins with
        made.number_format = cell.number_format
        return made
