"""Rows of a workbook are written back as a workbook: the cells as they were, with their types and formats.

The columns of the template keep their drop-downs, and cells that are marked are coloured. Needs `couponpress[excel]`,
which the workbook that was read needed too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final
from unicodedata import east_asian_width

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.cell.cell import ERROR_CODES, ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from couponpress.catalog.rows import LINE, PROBLEM, MarkedText, SheetCell
from couponpress.catalog.template import LAST_ROW_WITH_CHOICES, choices_of

#: How wide columns are, in letters, so that dates and headers are seen whole; reasons go on in further lines.
_WIDTH: Final = 16
_WIDTHS: Final = {LINE: 8, PROBLEM: 60, "_message": 60, "_image_url": 50}
_REASONS: Final = frozenset({PROBLEM, "_message"})
_WRAPPED: Final = Alignment(wrap_text=True, vertical="top")
_TOP: Final = Alignment(vertical="top")
_LINE_POINTS: Final = 18
#: What a line of a reason holds surely, of narrow letters; a wide one counts twice.
_IN_LINE: Final = 56
_STRUCK_OUT: Final = Font(strike=True)
_BAD: Final = PatternFill("solid", start_color="FFFFC7CE", end_color="FFFFC7CE")
#: What Excel allows in no sheet's name, and how long a name may be.
_NOT_IN_TITLES: Final = re.compile(r"[\\*?:/\[\]]")
_LONGEST_TITLE: Final = 31


class ErrorWorkbook:
    """A workbook of one sheet, written row by row."""

    def __init__(self, path: Path, title: str, header: list[str]) -> None:
        self._path = path
        self._book = Workbook(write_only=True)
        self._sheet: Any = self._book.create_sheet(_NOT_IN_TITLES.sub("_", title)[:_LONGEST_TITLE] or "rows")
        self._sheet.freeze_panes = "A2"
        for number, name in enumerate(header, 1):
            letter = get_column_letter(number)
            self._sheet.column_dimensions[letter].width = _WIDTHS.get(name.strip(), _WIDTH)
            if choices := choices_of(name):
                validation = DataValidation("list", formula1=f'"{",".join(choices)}"', allow_blank=True)
                validation.add(f"{letter}2:{letter}{LAST_ROW_WITH_CHOICES}")
                self._sheet.data_validations.append(validation)
        self._reasons = {at for at, name in enumerate(header) if name.strip() in _REASONS}
        self._row = 0
        self.append([SheetCell(name or None, "@") for name in header])

    def append(self, cells: Sequence[SheetCell], bad: Collection[int] = ()) -> None:
        """Add a row; `bad` are the cells to colour, from 0."""
        made = [self._made(cell, bad=at in bad) for at, cell in enumerate(cells)]
        self._row += 1
        lines = max((_lines_of(cells[at].value) for at in self._reasons), default=1)
        if lines == 1:
            self._sheet.append(made)
            return
        for at, cell in enumerate(made):
            if cell is not None:
                cell.alignment = _WRAPPED if at in self._reasons else _TOP
        # Not every program makes rows as high as their texts when it opens a workbook.
        self._sheet.row_dimensions[self._row].height = lines * _LINE_POINTS
        self._sheet.append(made)
        del self._sheet.row_dimensions[self._row]  # it is written; none is kept for each row

    def close(self) -> None:
        """Write the workbook."""
        self._book.save(self._path)

    def abandon(self) -> None:
        """Leave the workbook unwritten; the rows that openpyxl keeps in a temporary file go with it."""
        self._sheet.close()

    def _made(self, cell: SheetCell, *, bad: bool) -> Cell | None:
        value = None if cell.value == "" else cell.value
        if value is None and not bad:
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
        if cell.is_struck_out or isinstance(cell.value, MarkedText):
            # Which letters were marked is not kept. All are struck out, so that none is read as meant by mistake.
            made.font = _STRUCK_OUT
        if bad:
            made.fill = _BAD
        return made


def _lines_of(reason: object) -> int:
    """Return over how many lines a reason goes in its column."""
    return max(1, -(-sum(1 + (east_asian_width(one) in "WF") for one in f"{reason or ''}") // _IN_LINE))
