"""A workbook's sheet becomes records of cells, one row at a time. This is the only reader of .xlsx.

Without a name the first sheet that a person sees is read. A cell that is merged over several rows counts for each of
them, and an empty row is none. Whatever is damaged ends with one sentence.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import BinaryIO, Final
from xml.parsers import expat

from couponpress.catalog.rows import SheetCell
from couponpress.catalog.source import Source, unreadable
from couponpress.catalog.xlsx_book import book_of
from couponpress.catalog.xlsx_conditional import FormatRule, FormatRules, format_rules
from couponpress.catalog.xlsx_merged import Merged, Range, merged_ranges
from couponpress.catalog.xlsx_package import Package, mentioned
from couponpress.catalog.xlsx_rows import SheetParser
from couponpress.errors import CatalogError
from couponpress.language import gettext, joined, quoted
from couponpress.library_sentences import in_words as library_words

#: Number in the sheet, cells, whether it is hidden.
Record = tuple[int, tuple[SheetCell, ...], bool]

#: How many letters of a library's own sentence are shown.
_LONGEST_REASON: Final = 200
#: What the readers of zip files and of XML raise for files that are none.
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    expat.ExpatError,
    LookupError,
    ValueError,
    EOFError,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)


def open_sheet(source: Source, wanted: str | None, *, skip_hidden: bool) -> Sheet:
    """Open a sheet of a workbook that a source gives; see `Sheet`.

    Raises:
        CatalogError: it cannot be read, or openpyxl is missing, which writes broken rows back.
    """
    if find_spec("openpyxl") is None:
        raise CatalogError(
            gettext(
                "%(name)s is a workbook, and openpyxl, which writes its broken rows back, is not "
                "installed: pip install 'couponpress[excel]', or save it in Excel as 'CSV UTF-8'."
            )
            % {"name": source.name}
        )
    try:
        return Sheet(source.seekable(), source.name, wanted, skip_hidden=skip_hidden)
    except OSError as error:
        raise unreadable(source.name, error) from None


class Sheet:
    """One sheet of an open workbook.

    Attributes:
        title: the sheet's name.
        titles: the names of all sheets with cells, in their order.
        visible: those of the sheets that are not hidden.
        others: the names of the sheets that are not read.
        skipped: how many hidden rows were left out so far.
    """

    def __init__(self, file: BinaryIO, name: str, wanted: str | None, *, skip_hidden: bool = False) -> None:
        """Open a workbook.

        Args:
            file: its bytes.
            name: what to call it in errors.
            wanted: the sheet's name; without it the first visible one.
            skip_hidden: leave out rows that a person or a filter has hidden.

        Raises:
            CatalogError: it is no workbook, or has no such sheet.
        """
        self._name = name
        self._skip_hidden = skip_hidden
        self.skipped = 0
        try:
            self._package = Package(file, name)
            book = book_of(self._package)
        except _DAMAGED as error:
            raise self._damaged(error) from None
        seen = [one for one in book.sheets if not one.is_hidden]
        if wanted is None and not seen:
            raise CatalogError(gettext("%(name)s: every sheet is hidden; name one with --sheet.") % {"name": name})
        chosen = [one for one in book.sheets if one.name == wanted] if wanted is not None else seen[:1]
        if not chosen:
            there = joined(quoted(one.name) for one in book.sheets)
            raise CatalogError(
                gettext("%(name)s has no sheet %(wanted)s; its sheets are %(there)s.")
                % {"name": name, "wanted": quoted(wanted), "there": there}
            )
        self.title, self._path = chosen[0].name, chosen[0].path
        self.titles = tuple(one.name for one in book.sheets)
        self.visible = tuple(one.name for one in seen)
        self.others = tuple(
            gettext("%(name)s (hidden)") % {"name": one.name} if one.is_hidden else one.name
            for one in book.sheets
            if one is not chosen[0]
        )
        self._conditional_formats = book.formats.of_rule
        self._parser = SheetParser(book)

    @property
    def width(self) -> int | None:
        """Records are cut or filled to so many cells, once it is set."""
        return self._parser.width

    @width.setter
    def width(self, width: int) -> None:
        self._parser.width = width

    def is_hidden(self, column: int) -> bool:
        """Whether a person does not see a column, from 0; known once the header was read."""
        return any(column in one for one in self._parser.hidden_columns)

    def records(self) -> Iterator[Record]:
        """Give every row that is not empty.

        Raises:
            CatalogError: the workbook is damaged.
        """
        try:
            changes = self._behind_rows()
            with self._package.open(self._path, "sheet") as part:
                for line, cells, is_hidden in self._parser.rows(part):
                    if not self._fits(cells):
                        continue
                    for change in changes:
                        change(line, cells)
                    if is_hidden and self._skip_hidden:
                        self.skipped += 1
                    else:
                        yield line, tuple(cells), is_hidden
        except _DAMAGED as error:
            raise self._damaged(error) from None

    def _fits(self, cells: list[SheetCell]) -> bool:
        """Make a row as wide as the header, and tell whether anything is left of it.

        The rows of one block are read before the width is known.
        """
        width = self._parser.width
        if width is None or len(cells) == width:
            return True
        cells[width:] = [SheetCell()] * (width - len(cells))
        return any(cell.value is not None for cell in cells)

    def _behind_rows(self) -> list[Callable[[int, list[SheetCell]], None]]:
        """Read what stands behind the rows of the sheet; returns what changes each row by it."""
        with self._package.open(self._path, "sheet") as part:
            there = mentioned(part, ("mergeCell", "conditionalFormatting"))
        merged: list[Range] = []
        rules: list[FormatRule] = []
        if "mergeCell" in there:
            with self._package.open(self._path, "sheet") as part:
                merged = merged_ranges(part)
        # A format that stands in the sheet itself belongs to a rule; the others stand with the workbook's styles.
        if "conditionalFormatting" in there:
            with self._package.open(self._path, "sheet") as part:
                has_formats = self._conditional_formats or mentioned(part, ("numFmt",))
            if has_formats:
                with self._package.open(self._path, "sheet") as part:
                    rules = format_rules(part, self._conditional_formats)
        # The formats of a cell that is merged go with it.
        return [*([FormatRules(rules).applied] if rules else []), *([Merged(merged).filled] if merged else [])]

    def _damaged(self, error: Exception) -> CatalogError:
        told = library_words(f"{error}".strip('"'))
        told = f"{type(error).__name__}: {told}" if told else type(error).__name__
        told = told if len(told) <= _LONGEST_REASON else f"{told[:_LONGEST_REASON]}..."
        return CatalogError(
            gettext("%(name)s cannot be read as a workbook (%(told)s); open it in Excel and save it again as .xlsx.")
            % {"name": self._name, "told": told}
        )
