"""The merged cells of a sheet: where they are, and what they mean for the rows that they cover."""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter
from typing import IO, Final

from couponpress.catalog.rows import SheetCell
from couponpress.catalog.sheet_scanner import column_of
from couponpress.catalog.xlsx_package import DamagedPartError, blocks_of, fed, main, xml_parser
from couponpress.language import gettext, quoted

_MOST_MERGED: Final = 200_000
_RANGE: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,8})(?::\$?([A-Z]{1,3})\$?([0-9]{1,8}))?")
_MERGED: Final = frozenset(main("mergeCell"))

#: First column and first row, last column and last row, the first column being 1.
Range = tuple[int, int, int, int]


class Merged:
    """The merged cells of a sheet that reach over several rows: their value stands for each row, in their first column.

    Across columns nothing is filled: which of several columns is meant, only a person can say. What a cell below a
    merged one still holds is not seen by a person, and counts as empty.
    """

    def __init__(self, ranges: Iterable[Range]) -> None:
        ranges = list(ranges)
        self._wide = sorted((one for one in ranges if one[2] > one[0]), key=itemgetter(1), reverse=True)
        self._covering: list[Range] = []
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
        while self._wide and self._wide[-1][1] <= line:
            self._covering.append(self._wide.pop())
        if self._covering:
            self._covering = [one for one in self._covering if one[3] >= line]
            for left, _, right, _ in self._covering:
                covered = len(cells[left:right])
                cells[left : left + covered] = [SheetCell()] * covered


def merged_ranges(book_part: IO[bytes]) -> list[Range]:
    """Return the merged ranges of a sheet, which stand behind its rows.

    Raises:
        DamagedPartError: one is none, or there are too many.
    """
    found: list[Range] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in _MERGED:
            found.append(_range(attributes.get("ref", "")))
            if len(found) > _MOST_MERGED:
                raise DamagedPartError(
                    gettext("more than %(most_merged)s cells are merged") % {"most_merged": _MOST_MERGED}
                )

    parser = xml_parser()
    parser.StartElementHandler = start
    for _ in fed(parser, blocks_of(book_part)):
        pass
    return found


def _range(text: str) -> Range:
    found = _RANGE.fullmatch(text)
    first = column_of(found[1]) if found else None
    last = column_of(found[3] or found[1]) if found else None
    if found is None or first is None or last is None:
        raise DamagedPartError(gettext("%(text)s is merged, which is no range of cells") % {"text": quoted(text[:40])})
    top = int(found[2])
    return first + 1, top, last + 1, int(found[4]) if found[4] else top
