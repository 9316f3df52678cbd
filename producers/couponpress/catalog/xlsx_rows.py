"""The XML of one sheet becomes rows of cells, one row at a time, in a memory that does not grow with the rows.

An empty row costs nothing but its reading. Rows that do not rise, cells that stand twice and references that are none
make a damaged sheet, because what is meant by them is not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Final

from couponpress.catalog.rows import SheetCell
from couponpress.catalog.sheet_scanner import MOST_COLUMNS, PlainRow, SheetScanner, column_of
from couponpress.catalog.xlsx_book import Book
from couponpress.catalog.xlsx_cells import CellsOfAttributes, CellsOfBook
from couponpress.catalog.xlsx_package import DamagedPartError, fed, main, xml_parser
from couponpress.catalog.xlsx_texts import TextReader, is_true
from couponpress.language import gettext, quoted

_MOST_ROWS: Final = 1 << 24
_LONGEST_CELL: Final = 1 << 20
#: The width of a column, or the height of a row, that nobody sees.
_NOTHING: Final = re.compile(r"0+(?:\.0*)?")
_NO_CELL: Final = SheetCell()
#: So many plain rows are held before they are given.
_ROWS_AT_ONCE: Final = 100

#: Number, cells, whether it is hidden.
SheetRow = tuple[int, list[SheetCell], bool]


class SheetParser:
    """Reads one sheet.

    Attributes:
        width: rows are cut or filled to so many cells, once it is set.
        hidden_columns: the columns, from 0, that a person does not see; known once there is a row.
    """

    def __init__(self, book: Book) -> None:
        self._cells_of_book = CellsOfBook(book)
        self._known_cells = CellsOfAttributes(self._cells_of_book)
        self.hidden_columns: list[range] = []
        self.width: int | None = None
        self._rows: list[SheetRow] = []
        self._line = self._next = 0
        self._number = ""
        self._hidden = False
        self._cells: list[SheetCell] = []
        self._filled: set[int] = set()
        self._at = -1
        self._of_cell: dict[str, str] = {}
        self._formula = self._taking = self._in_rows = self._in_row = False
        self._has_value = self._has_inline = self._seen_inline = self._in_inline = self._in_extension = False
        self._parts: list[str] = []
        self._length = 0
        begins: dict[str, Callable[[dict[str, str]], None]] = {
            "col": self._begin_column,
            "sheetData": self._begin_rows,
            "row": self._begin_row,
            "c": self._begin_cell,
            "f": self._begin_formula,
            "v": self._begin_value,
            "is": self._begin_inline,
            "extLst": self._begin_extension,
        }
        ends: dict[str, Callable[[], None]] = {
            "sheetData": partial(setattr, self, "_in_rows", False),
            "row": self._end_row,
            "c": self._finish_cell,
            "v": partial(setattr, self, "_taking", False),
            "is": partial(setattr, self, "_in_inline", False),
            "extLst": partial(setattr, self, "_in_extension", False),
        }
        self._begins = {spelled: call for kind, call in begins.items() for spelled in main(kind)}
        self._ends = {spelled: call for kind, call in ends.items() for spelled in main(kind)}
        self._inline = TextReader()

    def rows(self, part: IO[bytes]) -> Iterator[SheetRow]:
        """Give every row with a cell that is not empty, in its order.

        Raises:
            DamagedPartError, expat.ExpatError, and errors of a damaged zip file: it cannot be read on.
        """
        parser = xml_parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        scanner = SheetScanner(lambda: self._in_rows and not self._in_row)
        for _ in fed(parser, self._to_parse(scanner.pieces(part))):
            if self._rows:
                rows, self._rows = self._rows, []
                yield from rows

    def _to_parse(self, pieces: Iterator[bytes | PlainRow]) -> Iterator[bytes]:
        """Take the plain rows; gives what an XML parser must read, and nothing now and then, so that rows come out."""
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                self._take(piece)
                if len(self._rows) >= _ROWS_AT_ONCE:
                    yield b""

    def _take(self, row: PlainRow) -> None:
        """Take a row without the parser, as its handlers would.

        Raises:
            DamagedPartError: as they do.
        """
        self._begin_row(row.attributes)
        cells, filled = self._cells, 0
        known, width = self._known_cells, MOST_COLUMNS if self.width is None else self.width
        try:
            for at, others, content in zip(*row[1:], strict=True):
                if not content or at >= width:
                    continue
                cell = known[others][content]
                if cell[0] is not None:
                    if filled < at:
                        cells += [_NO_CELL] * (at - filled)
                    cells.append(cell)
                    filled = at + 1
        except DamagedPartError as error:
            raise self._in_row_of(error) from None
        self._end_row()

    def _in_row_of(self, error: DamagedPartError) -> DamagedPartError:
        return DamagedPartError(gettext("row %(line)s %(error)s") % {"line": self._line, "error": error})

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        begin = self._begins.get(name)
        if begin is not None:
            begin(attributes)
        elif self._in_inline:
            self._inline.start(name, attributes)

    def _end(self, name: str) -> None:
        end = self._ends.get(name)
        if end is not None:
            end()
        elif self._in_inline:
            self._inline.end(name)

    def _begin_rows(self, _: dict[str, str]) -> None:
        self._in_rows = True

    def _begin_value(self, _: dict[str, str]) -> None:
        if self._at < 0 or self._in_extension:
            return
        if self._has_value:
            raise self._two_values()
        self._has_value = True
        if self._of_cell.get("t") != "inlineStr":
            self._has_inline = False  # the value goes before a text of its own
        self._taking = not self._has_inline

    def _begin_inline(self, _: dict[str, str]) -> None:
        if self._at < 0 or self._in_extension:
            return
        if self._seen_inline:
            raise self._two_values()
        self._seen_inline = True
        if not self._has_value or self._of_cell.get("t") == "inlineStr":
            self._has_inline = self._in_inline = True
            self._parts.clear()
            self._inline.begin()

    def _begin_extension(self, _: dict[str, str]) -> None:
        self._in_extension = self._at >= 0

    def _two_values(self) -> DamagedPartError:
        return DamagedPartError(gettext("row %(line)s holds a cell with two values") % {"line": self._line})

    def _begin_formula(self, _: dict[str, str]) -> None:
        self._formula = True

    def _end_row(self) -> None:
        if self._cells:
            if self.width is not None:
                self._cells += [_NO_CELL] * (self.width - len(self._cells))
            self._rows.append((self._line, self._cells, self._hidden))
            self._cells = []
        self._in_row = False

    def _text(self, data: str) -> None:
        if self._in_inline and self._inline.is_open:
            self._inline.letters(data)
        elif self._taking:
            self._parts.append(data)
        else:
            return
        self._length += len(data)
        if self._length > _LONGEST_CELL:
            raise DamagedPartError(
                gettext("a cell of row %(line)s has more than a million letters") % {"line": self._line}
            )

    def _begin_column(self, attributes: dict[str, str]) -> None:
        if is_true(attributes.get("hidden")) or _NOTHING.fullmatch(attributes.get("width", "")):
            first, last = attributes.get("min", ""), attributes.get("max", "")
            if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal() and len(last) < 9):
                raise DamagedPartError(
                    gettext("the columns %(first)s to %(last)s are hidden, which are none")
                    % {"first": quoted(first[:40]), "last": quoted(last[:40])}
                )
            if len(self.hidden_columns) > MOST_COLUMNS:
                raise DamagedPartError(gettext("more columns are hidden than a sheet has"))
            self.hidden_columns.append(range(int(first) - 1, int(last)))

    def _begin_row(self, attributes: dict[str, str]) -> None:
        if not self._in_rows:
            return
        number = attributes.get("r")
        if number is None:
            line = self._line + 1
        elif number.isascii() and number.isdecimal() and len(number) < 9:
            line = int(number)
        else:
            raise DamagedPartError(gettext("a row has the number %(number)s") % {"number": quoted(number[:40])})
        if not self._line < line <= _MOST_ROWS:
            raise DamagedPartError(
                gettext("row %(line)s stands behind row %(line2)s") % {"line": line, "line2": self._line}
            )
        self._line, self._number = line, str(line)
        hidden, height = attributes.get("hidden"), attributes.get("ht")
        self._hidden = is_true(hidden) or (height is not None and _NOTHING.fullmatch(height) is not None)
        self._in_row = True
        self._next = 0
        self._filled.clear()

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        if not self._in_row:
            return
        reference = attributes.get("r")
        if reference is None:
            at = self._next
        else:
            found = column_of(reference.removesuffix(self._number))
            if found is None or not reference.endswith(self._number):
                raise DamagedPartError(
                    gettext("row %(line)s holds the cell %(reference)s")
                    % {"line": self._line, "reference": quoted(reference[:40])}
                )
            at = found
        if at >= MOST_COLUMNS or at in self._filled:
            raise DamagedPartError(gettext("row %(line)s holds a cell twice, or too many cells") % {"line": self._line})
        self._filled.add(at)
        self._at, self._next = at, at + 1
        self._of_cell = attributes
        self._formula = self._has_value = self._has_inline = self._seen_inline = False
        self._parts.clear()
        self._length = 0

    def _finish_cell(self) -> None:
        at, width = self._at, self.width
        self._at = -1
        if at < 0 or (width is not None and at >= width):
            return
        parts, of_cell = self._parts, self._of_cell
        text = self._inline.text() if self._has_inline else parts[0] if len(parts) == 1 else "".join(parts)
        kind, style = of_cell.get("t", "n"), of_cell.get("s", "0")
        try:
            if text and not text.isspace():
                cell = self._cells_of_book.cell(text, kind, style, is_formula=self._formula)
                if cell.value is None:
                    return
            elif self._formula and kind not in {"str", "inlineStr"}:
                cell = self._cells_of_book.never_calculated(style)
            else:  # with t="str" the result of a formula is an empty text
                return
        except DamagedPartError as error:
            raise self._in_row_of(error) from None
        cells = self._cells
        if len(cells) <= at:
            cells += [_NO_CELL] * (at + 1 - len(cells))
        cells[at] = cell
