"""Lines of text become the records of a CSV table.

A quote that does not close costs the line on which it stands, not the rows after it: such a line is given as `BadText`,
and reading goes on with the next line. A cell in quotes may have several lines, as long as none of them looks like a
row of the table.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from couponpress.language import gettext, gettext_noop

#: In the order in which they are preferred, when a header reads equally well with several.
DELIMITERS: Final = (",", ";", "\t", "|", "，", "；", "^")

#: A cell may be as long as a line may be. The csv module's own limit is 131,072, and one for the whole process.
_LONGEST_CELL: Final = 16 * 1024 * 1024
csv.field_size_limit(_LONGEST_CELL)

#: Among so many lines the header is looked for.
_HEADER_WITHIN: Final = 20
#: A quote that is open for so many lines is one that does not close.
_MOST_LINES: Final = 1000
#: A line inside quotes with exactly as many cells as a header of so many columns is a row.
_WIDE: Final = 6
#: What of a line belongs to a cell whose quotes are open at its begin.
_INSIDE: Final = re.compile(r'(?:[^"]|"")*+')
_LONG_NUMBER: Final = re.compile(r"[0-9]{5,}")
#: A first line by which a program tells Excel the delimiter.
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE | re.DOTALL)

_UNCLOSED: Final = gettext_noop(
    'has a quote that does not close: a cell that begins with " ends with it, and writes " inside as ""'
)
_TOO_LONG: Final = gettext_noop("has a cell of more than 16 million letters")

#: Takes the line on which a record begins and a later line of it; tells whether the later one is a row by itself.
IsRow = Callable[[str, str], bool]


def delimiter_of(header: str, is_known: Callable[[str], bool]) -> str:
    """Return what separates the cells of a header's line: that with which most names are known, then most cells.

    >>> delimiter_of("品牌ID;价格, 到店;scope", {"品牌ID", "scope"}.__contains__)
    ';'
    """
    return max(DELIMITERS, key=lambda delimiter: _worth(header, delimiter, is_known))


def opened(text: Iterable[str], is_known: Callable[[str], bool]) -> tuple[str, Iterator[str]]:
    """Look at a table's first lines; returns the delimiter and all lines.

    A line `sep=;` says the delimiter, else that line tells it which looks most like a header. Such a line and blank
    ones in front of the header are given as blank lines, so that the lines keep their numbers.
    """
    lines = iter(text)
    first = list(islice(lines, _HEADER_WITHIN))
    said = None
    for at, line in enumerate(first):
        named = said_delimiter(line)
        if named is None and not line.isspace():
            break
        said, first[at] = named or said, "\n"
    return said or _delimiter_of_first(first, is_known), chain(first, lines)


def _delimiter_of_first(lines: Iterable[str], is_known: Callable[[str], bool]) -> str:
    header, most = "", -1
    for line in lines:
        known, _ = _worth(line, delimiter_of(line, is_known), is_known)
        if known > most and not line.isspace():
            header, most = line, known
    return delimiter_of(header, is_known)


def said_delimiter(line: str) -> str | None:
    r"""Return the delimiter that a line such as `sep=;` names; None if it is another line.

    >>> said_delimiter("sep=;\r\n"), said_delimiter("品牌ID;scope")
    (';', None)
    """
    found = _SEP_LINE.fullmatch(line)
    return found[1] if found else None


def _worth(header: str, delimiter: str, is_known: Callable[[str], bool]) -> tuple[int, int]:
    names = cells_of(header, delimiter)
    return sum(map(is_known, names)), len(names)


def cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of a single line, whatever its quotes."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def row_test(width: int, brand_at: int | None, delimiter: str) -> IsRow:
    """Return what tells whether a line inside quotes is a row of a table that the quotes have swallowed.

    Args:
        width: how many columns the header has.
        brand_at: the column of the brand, whose cell shows a row best.
        delimiter: what separates the cells.
    """

    def is_row(first: str, later: str) -> bool:
        cells = cells_of(_INSIDE.match(later)[0], delimiter)  # type: ignore[index]  # it matches every text
        if len(cells) == width >= _WIDE:
            return True
        if brand_at is None or not max(brand_at, 1) < len(cells) <= width:
            return False
        brand, begun = cells[brand_at].strip(), cells_of(first, delimiter)
        same = brand_at < len(begun) and brand == begun[brand_at].strip()
        return bool(brand) and (same or _LONG_NUMBER.fullmatch(brand) is not None)

    return is_row


class BadText(NamedTuple):
    """A line that is no record, and the rule that it breaks."""

    text: str
    rule: str


class _SwallowingError(Exception):
    """The quotes that are open have reached a line that they cannot hold."""


def records(
    lines: Iterable[str], delimiter: str = ",", is_row: IsRow = lambda _first, _later: False
) -> Iterator[tuple[int, list[str] | BadText]]:
    """Split lines into records, each with the physical line on which it begins, from 1; blank ones are skipped.

    Of a record whose quotes do not close, or hold a line for which `is_row` is true, only its first line is given up.
    """
    rest = iter(lines)
    again: deque[str] = deque()
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while True:
            text = again.popleft() if again else next(rest, None)
            if text is None:
                return
            # The reader asks for one more line of the same record only inside quotes.
            if taken and (len(taken) >= _MOST_LINES or is_row(taken[0], text)):
                again.appendleft(text)
                raise _SwallowingError
            taken.append(text)
            yield text

    line = yield from _records_without_quotes(rest, again, delimiter)
    while True:
        try:
            for cells in csv.reader(feed(), delimiter=delimiter, strict=True):
                if any(cells):
                    yield line, cells
                line += len(taken)
                taken.clear()
        except (csv.Error, _SwallowingError) as error:
            rule = _TOO_LONG if "field larger" in str(error) else _UNCLOSED
            yield line, BadText(taken[0], gettext(rule))
            line += 1
            again.extendleft(reversed(taken[1:]))
            taken.clear()
        else:
            return


def _records_without_quotes(
    rest: Iterator[str], again: deque[str], delimiter: str
) -> Generator[tuple[int, list[str]], None, int]:
    """Give the records up to the first line with a quote, in half the time; the others are for the csv module.

    That line goes to `again`, and so does one that is odd in another way. Returns its number.
    """
    line = 1
    for text in rest:
        plain = text.rstrip("\r\n")
        if '"' in plain or "\r" in plain or "\n" in plain or len(plain) > _LONGEST_CELL:
            again.append(text)
            break
        cells = plain.split(delimiter)
        if any(cells):
            yield line, cells
        line += 1
    return line
