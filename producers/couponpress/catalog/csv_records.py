"""Lines become CSV records, and a quote that does not close costs one line, not the rest of the file.

Decides where records begin and end, and what separates their cells. Refuses to know what their cells mean.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

#: In the order in which they are preferred, when a header reads equally well with several.
DELIMITERS: Final = (",", ";", "\t")


def delimiter_of(header: str, is_known: Callable[[str], bool]) -> str:
    """Return what separates the cells of a header's line: that with which most names are known, then most cells.

    >>> delimiter_of("品牌ID;价格, 到店;scope", {"品牌ID", "scope"}.__contains__)
    ';'
    """

    def worth(delimiter: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:  # more text than a cell may hold
            return 0, 0
        return sum(map(is_known, names)), len(names)

    return max(DELIMITERS, key=worth)


class BadText(NamedTuple):
    """A line whose quotes do not match."""

    text: str
    rule: str


def records(lines: Iterable[str], delimiter: str = ",") -> Iterator[tuple[int, list[str] | BadText]]:
    """Split lines into records, each with the physical line on which it begins, from 1; blank ones are skipped.

    A quote that does not close would swallow good rows. Only the line on which such a record begins is given up;
    reading goes on with the next one.
    """
    rest = iter(lines)
    again: deque[str] = deque()
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while again:
            taken.append(again.popleft())
            yield taken[-1]
        for text in rest:
            taken.append(text)
            yield text

    line = 1
    while True:
        try:
            for cells in csv.reader(feed(), delimiter=delimiter, strict=True):
                if any(cells):
                    yield line, cells
                line += len(taken)
                taken.clear()
        except csv.Error:
            rule = 'has a quote that does not close: a cell that begins with " ends with it, and writes " inside as ""'
            yield line, BadText(taken[0], rule)
            line += 1
            again.extendleft(reversed(taken[1:]))
            taken.clear()
        else:
            return
