"""The text, kind and style of a cell's XML become the cell.

What Excel counts as a number, a text, a truth value, an error or a date stays one. A formula's 0 that a program wrote
without calculating it becomes `NOT_CALCULATED`. A cell whose font strikes it out is marked.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final

from couponpress.catalog.number_formats import of_number
from couponpress.catalog.rows import NOT_CALCULATED, SheetCell
from couponpress.catalog.sheet_scanner import style_and_kind, unreferenced
from couponpress.catalog.xlsx_book import Book
from couponpress.catalog.xlsx_package import DamagedPartError
from couponpress.catalog.xlsx_texts import is_true, unescaped
from couponpress.language import gettext, quoted

_NUMBER: Final = re.compile(r"\s*[+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))(?:[eE]([+-]?[0-9]{1,4}))?\s*")
#: A number of few digits, as any program writes it.
_USUAL_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?").fullmatch
#: Makes a cell in two thirds of the time that its class takes.
_new: Final = tuple.__new__
_DAYS_TO_1904: Final = 1462
#: So many different cells of the same attributes are remembered before they are forgotten.
_REMEMBERED: Final = 300
_MOST_ATTRIBUTES: Final = 128
_NO_CELL: Final = SheetCell()
#: The kinds of cells whose text stands in the cell itself.
_OWN_TEXT: Final = frozenset({"str", "inlineStr"})
#: A longer text is not remembered.
_LONGEST: Final = 200


class KnownCells(dict[str, SheetCell]):
    """The plain cells of one workbook with the same attributes, by their text; most cells of a catalog are alike.

    One that is not known yet is made when it is asked for. Raises: see `CellsOfBook.cell`.
    """

    def __init__(self, cells: CellsOfBook, attributes: str) -> None:
        """Take the workbook's cells, and the attributes as `sheet_scanner` gives them."""
        super().__init__()
        self._cells = cells
        self._style, self._kind = style_and_kind(attributes) or ("", "")

    def __missing__(self, text: str) -> SheetCell:
        content = unreferenced(text)
        cell = _NO_CELL if content.isspace() else self._cells.cell(content, self._kind, self._style, is_formula=False)
        return self._remembered(text, cell) if len(text) <= _LONGEST else cell

    def _remembered(self, text: str, cell: SheetCell) -> SheetCell:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = cell
        return cell


class _KnownNumbers(KnownCells):
    """The same for numbers that nothing but their format changes; amounts are seldom alike, so this is quick."""

    def __init__(self, cells: CellsOfBook, attributes: str, number_format: str) -> None:
        super().__init__(cells, attributes)
        self._number_format = number_format

    def __missing__(self, text: str) -> SheetCell:
        found = _USUAL_NUMBER(text)
        if found is None:
            return super().__missing__(text)
        value = float(text) if found.lastindex else int(text)
        return self._remembered(text, _new(SheetCell, (value, self._number_format, False, False, (), False)))


class _KnownTexts(_KnownNumbers):
    """The same for texts that stand in the cell itself; ids are seldom alike."""

    def __missing__(self, text: str) -> SheetCell:
        if "&" in text or "_x" in text or text.isspace() or len(text) > _LONGEST:
            return KnownCells.__missing__(self, text)
        return self._remembered(text, _new(SheetCell, (text, self._number_format, False, False, (), False)))


class CellsOfAttributes(dict[str, KnownCells]):
    """The plain cells of one workbook, by their attributes; there are few different ones."""

    def __init__(self, cells: CellsOfBook) -> None:
        super().__init__()
        self._cells = cells

    def __missing__(self, attributes: str) -> KnownCells:
        if len(self) >= _MOST_ATTRIBUTES:
            self.clear()
        kind, number_format = self._cells.plain_format(attributes)
        if kind == "n":
            known: KnownCells = _KnownNumbers(self._cells, attributes, number_format)
        elif kind in _OWN_TEXT:
            known = _KnownTexts(self._cells, attributes, number_format)
        else:
            known = KnownCells(self._cells, attributes)
        self[attributes] = known
        return known


class CellsOfBook:
    """Makes the cells of one workbook."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def cell(self, text: str, kind: str, style: str, *, is_formula: bool) -> SheetCell:
        """Return the cell of a text that is not empty. `kind` and `style` are the attributes `t` and `s`.

        Raises:
            DamagedPartError: there is no such kind, style, number or shared text.
        """
        number_format = self._format(style)
        if kind == "n":
            made = self._number_cell(text, number_format, is_formula=is_formula)
        elif kind == "s":
            made = _text_cell(self._shared(text), number_format)
        elif kind in _OWN_TEXT:
            made = _text_cell(unescaped(text), number_format)
        else:
            made = self._other(text, kind, number_format)
        if style in self._book.formats.struck_out and made.value is not None:
            return made._replace(is_struck_out=True)
        return made

    def plain_format(self, attributes: str) -> tuple[str, str]:
        """Return the kind and format of cells with these attributes; no kind if more than a format changes them."""
        style, kind = style_and_kind(attributes) or ("", "")
        formats = self._book.formats
        number_format = formats.of_style.get(style)
        if number_format is None or style in formats.struck_out or (kind == "n" and self._book.starts_1904):
            return "", ""
        return kind, number_format

    def never_calculated(self, style: str) -> SheetCell:
        """Return the cell of a formula without a result."""
        return SheetCell(NOT_CALCULATED, self._format(style), is_error=True)

    @staticmethod
    def _other(text: str, kind: str, number_format: str) -> SheetCell:
        if kind == "b":
            return SheetCell(is_true(text), number_format)
        if kind == "e":
            return SheetCell(text.strip(), number_format, is_error=True)
        if kind == "d":
            return SheetCell(_IsoDate(text.strip()), number_format)
        raise DamagedPartError(gettext("holds a cell of the kind %(kind)s") % {"kind": quoted(kind[:40])})

    def _shared(self, text: str) -> str:
        text = text.strip()
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise DamagedPartError(gettext("names the shared text %(text)s") % {"text": quoted(text[:40])})
        at = int(text)
        if at >= len(self._book.strings):
            raise DamagedPartError(gettext("names the shared text %(at)s, which is not there") % {"at": at})
        return self._book.strings[at]

    def _number_cell(self, text: str, number_format: str, *, is_formula: bool) -> SheetCell:
        found = _NUMBER.fullmatch(text)
        if found is None or len(text) > 400:
            raise DamagedPartError(gettext("holds the number %(text)s") % {"text": quoted(text[:40])})
        value: Any = float(text) if found.lastindex or len(text) > 30 else int(text)
        if abs(value) == math.inf:
            return SheetCell("#NUM!", number_format, is_error=True)
        if self._book.starts_1904 and of_number(number_format, Decimal(value)).is_date:
            value += _DAYS_TO_1904
        is_zero = is_formula and value == 0
        if is_zero and (self._book.recalculates or "." in text):
            # What XlsxWriter and POI write for a formula that they do not calculate; Excel itself writes 0, not 0.0.
            return SheetCell(NOT_CALCULATED, number_format, is_error=True)
        return _new(SheetCell, (value, number_format, False, is_zero, (), False))

    def _format(self, style: str) -> str:
        found = self._book.formats.of_style.get(style)
        if found is not None:
            return found
        if style == "0" or (not self._book.formats.of_style and style.isascii() and style.isdecimal()):
            return "General"
        raise DamagedPartError(gettext("names the style %(style)s, which is not there") % {"style": quoted(style[:40])})


def _text_cell(text: str, number_format: str) -> SheetCell:
    return _new(SheetCell, (text if text.strip() else None, number_format, False, False, (), False))


class _IsoDate(str):
    """A date or a time in the form 2026-05-01T12:00:00, which Strict Open XML may hold."""

    __slots__ = ()
