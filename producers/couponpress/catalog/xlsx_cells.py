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
#: Makes a cell in two thirds of the time that its class takes.
_new: Final = tuple.__new__
_DAYS_TO_1904: Final = 1462
#: So many different cells are remembered before all are forgotten.
_REMEMBERED: Final = 20_000
#: A longer text is not remembered.
_LONGEST: Final = 200


class CellsOfBook:
    """Makes the cells of one workbook.

    Attributes:
        known: plain cells by their text and attributes; most cells of a catalog are alike.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self.known: dict[tuple[str, str], SheetCell] = {}

    def plain(self, text: str, attributes: str) -> SheetCell:
        """Return a cell that is not known yet, as `sheet_scanner` gives its text and attributes. Raises: see `cell`."""
        style, kind = style_and_kind(attributes) or ("", "")
        content = unreferenced(text)
        cell = SheetCell() if content.isspace() else self.cell(content, kind, style, is_formula=False)
        if len(text) <= _LONGEST:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[text, attributes] = cell
        return cell

    def cell(self, text: str, kind: str, style: str, *, is_formula: bool) -> SheetCell:
        """Return the cell of a text that is not empty. `kind` and `style` are the attributes `t` and `s`.

        Raises:
            DamagedPartError: there is no such kind, style, number or shared text.
        """
        made = self._made(text, kind, self._format(style), is_formula=is_formula)
        if style in self._book.formats.struck_out and made.value is not None:
            return made._replace(is_struck_out=True)
        return made

    def never_calculated(self, style: str) -> SheetCell:
        """Return the cell of a formula without a result."""
        return SheetCell(NOT_CALCULATED, self._format(style), is_error=True)

    def _made(self, text: str, kind: str, number_format: str, *, is_formula: bool) -> SheetCell:
        if kind == "s":
            return _text_cell(self._shared(text), number_format)
        if kind == "n":
            return self._number_cell(text, number_format, is_formula=is_formula)
        if kind in {"str", "inlineStr"}:
            return _text_cell(unescaped(text), number_format)
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
        value: Any = float(text) if found[1] or found[2] or found[3] or len(text) > 30 else int(text)
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
