"""A workbook's sheet becomes records of cells, one row at a time. The only reader of .xlsx; needs `couponpress[excel]`.

Decides which sheet is read, what a merged cell means (its value, for each of its rows), and that an empty row is none.
Refuses to know what cells mean. The texts that a workbook shares between cells are held in memory, its rows are not.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError

from openpyxl import load_workbook
from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE
from openpyxl.utils.cell import range_boundaries
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from couponpress.catalog.rows import SheetCell
from couponpress.catalog.workbook_cells import NOT_CALCULATED
from couponpress.errors import CatalogError

Record = tuple[int, tuple[SheetCell, ...]]

_EMPTY: Final = SheetCell()
#: openpyxl warns while it parses; warnings are held back for so many rows at a time.
_AT_ONCE: Final = 500
_SCANNED_BYTES: Final = 1 << 20
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, ParseError, KeyError, ValueError, IndexError, TypeError, EOFError)


class _Parser(WorkSheetParser):
    """Tells a formula without a result, which openpyxl gives as an empty cell."""

    def parse_cell(self, element: Element) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        # With t="str" the result is an empty text.
        if cell["value"] is None and element.get("t") != "str" and element.find(FORMULA_TAG) is not None:
            cell["value"], cell["data_type"] = NOT_CALCULATED, "e"
        return cell


class Sheet:
    """One sheet of an open workbook.

    Attributes:
        title: the sheet's name.
        width: records are cut or filled to so many cells, once it is set.
    """

    def __init__(self, file: BinaryIO, name: str, wanted: str | None) -> None:
        """Open a workbook. `name` names it in errors; `wanted` names the sheet, the first without it.

        Raises:
            CatalogError: it is no workbook, or has no such sheet.
        """
        self._name = name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._book: Any = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except _DAMAGED as error:
            raise self._damaged(error) from None
        sheets = {sheet.title: sheet for sheet in self._book.worksheets}
        if not sheets:
            raise CatalogError(f"{name} has no sheet with cells.")
        self.title = next(iter(sheets)) if wanted is None else wanted
        if self.title not in sheets:
            raise CatalogError(f"{name} has no sheet {wanted!r}; its sheets are {', '.join(map(repr, sheets))}.")
        self._sheet: Any = sheets[self.title]
        self.width: int | None = None
        self._formats: dict[int, str] = {}

    def records(self) -> Iterator[Record]:
        """Give every row that is not empty, with its number in the sheet.

        Raises:
            CatalogError: the workbook is damaged.
        """
        try:
            with self._source() as scanned:
                merged = _Merged(_merged_ranges(scanned))
            with self._source() as source:
                yield from self._rows(source, merged.filled)
        except _DAMAGED as error:
            raise self._damaged(error) from None

    def _rows(self, source: BinaryIO, filled: Callable[[int, list[SheetCell]], None]) -> Iterator[Record]:
        parser = _Parser(
            source,
            self._sheet._shared_strings,  # noqa: SLF001 - openpyxl's own rows do not tell formulas without results
            data_only=True,
            epoch=self._book.epoch,
            date_formats=self._book._date_formats,  # noqa: SLF001
            timedelta_formats=self._book._timedelta_formats,  # noqa: SLF001
        )
        for line, found in _quietly(parser.parse()):
            cells = self._cells(found)
            if any(cell.value is not None for cell in cells):
                filled(line, cells)
                yield line, tuple(cells)

    def _cells(self, found: Iterable[dict[str, Any]]) -> list[SheetCell]:
        width = self.width
        cells = [] if width is None else [_EMPTY] * width
        for cell in found:
            value, at = cell["value"], cell["column"] - 1
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            if width is None:
                cells += [_EMPTY] * (at + 1 - len(cells))
            elif at >= width:
                continue
            cells[at] = SheetCell(value, self._format(cell["style_id"]), cell["data_type"] == "e")
        return cells

    def _format(self, style_id: int) -> str:
        found = self._formats.get(style_id)
        if found is None:
            number = self._book._cell_styles[style_id].numFmtId  # noqa: SLF001
            of_its_own = self._book._number_formats  # noqa: SLF001
            if number < BUILTIN_FORMATS_MAX_SIZE:
                found = BUILTIN_FORMATS.get(number, "General")
            else:
                found = of_its_own[number - BUILTIN_FORMATS_MAX_SIZE]
            self._formats[style_id] = found
        return found

    def _source(self) -> BinaryIO:
        source: BinaryIO = self._sheet._get_source()  # noqa: SLF001
        return source

    def _damaged(self, error: Exception) -> CatalogError:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return CatalogError(f"{self._name} cannot be read as a workbook ({told}); open it in Excel and save it again.")


class _Merged:
    """The merged cells of a sheet that reach over several rows: their value stands for each row, in their first column.

    Across columns nothing is filled: which of several columns is meant, only a person can say.
    """

    def __init__(self, ranges: Iterable[tuple[int, int, int, int]]) -> None:
        self._last_row = {(top, left): bottom for left, top, _, bottom in ranges if bottom > top}
        self._columns = {left for _, left in self._last_row}
        self._open: dict[int, tuple[int, SheetCell]] = {}

    def filled(self, line: int, cells: list[SheetCell]) -> None:
        """Fill in a row, in place; rows are given in their order."""
        for column in self._columns:
            if column > len(cells):
                continue
            last = self._last_row.get((line, column))
            if last is not None:
                self._open[column] = (last, cells[column - 1])
            elif column in self._open and line <= self._open[column][0]:
                cells[column - 1] = self._open[column][1]


def _merged_ranges(source: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """Find the merged ranges, which stand behind the rows; as first column, first row, last column, last row."""
    rest = b""
    while block := source.read(_SCANNED_BYTES):
        rest += block
        end = 0
        for found in _MERGED.finditer(rest):
            end = found.end()
            yield range_boundaries(found[1].decode())  # type: ignore[misc]  # the pattern leaves out whole columns
        rest = rest[max(end, len(rest) - 200) :]


def _quietly(rows: Iterator[tuple[int, list[dict[str, Any]]]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block = list(islice(rows, _AT_ONCE))
        if not block:
            return
        yield from block
