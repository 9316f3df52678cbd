"""Ids that stand twice in an upload: the second row is the same work if it is the same, else it is broken.

Decides what the same means: the same ids and the same body. Without this the ledger would refuse the whole upload at
the second row. An id takes 20 bytes in arrays that are at most two thirds full: 30 to 60 MB for a million rows that
have a row id only. An id is known by 64 bits of its hash; that two of a million ids share one has a chance of 1 to 40
million, and would break one good row. Every row passes here, so the way of a new id is written for speed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from couponpress.catalog.rows import BrokenRow, Row
from couponpress.errors import Problem

REPEATED: Final = "row: stands twice; it is the same work"

_FIRST_SLOTS: Final = 1 << 12
#: What a row takes of a file at least; a guess, so that the arrays seldom grow on the way.
_BYTES_OF_ROW: Final = 80


class SeenRows:
    """The ids of every row of an upload so far."""

    def __init__(self) -> None:
        self._ids = _Ids()
        self._names: list[str] = []
        #: The number before each catalog's first line, all lines counted through.
        self._starts: list[int] = []
        self._last = 0

    def checked(
        self,
        rows: Iterable[Row | BrokenRow],
        name: str,
        columns: tuple[str, str],
        notes: Counter[str],
        size: int | None = None,
    ) -> Iterator[Row | BrokenRow]:
        """Give the rows of one catalog on, one that stands twice as broken or noted.

        Args:
            rows: the rows.
            name: what the catalog is called.
            columns: what its columns of row ids and task ids are called.
            notes: where repeated rows are counted.
            size: of the catalog in bytes, if known.
        """
        start = self._last
        self._names.append(name)
        self._starts.append(start)
        ids = self._ids
        ids.expect((size or 0) // _BYTES_OF_ROW)
        keys, bodies, lines, mask, room = ids.keys, ids.bodies, ids.lines, ids.mask, ids.room
        for row in rows:
            if row.__class__ is not Row:
                yield row
                continue
            row_id, task_id, head, tail = row[2]
            body, line = hash((task_id, head, tail)), start + row[0]
            firsts: dict[int, _First] | None = None
            # A row without a row id goes by its task id. A slot that holds 0 is empty.
            for key in (hash(row_id),) if task_id is None else (hash(row_id or task_id), hash((task_id,))):
                at = key & mask
                while (known := keys[at]) and known != key:
                    at = (at + 1) & mask
                if known:
                    firsts = firsts or {}
                    firsts[key] = _First(lines[at], bodies[at] == body)
                    continue
                keys[at], bodies[at], lines[at] = key, body, line
                room -= 1
                if not room:
                    ids.grow()
                    keys, bodies, lines, mask, room = ids.keys, ids.bodies, ids.lines, ids.mask, ids.room
            self._last = line
            if firsts:
                broken = self._repeated(row, firsts, columns)
                if broken is not None:
                    yield broken
                    continue
                notes[REPEATED] += 1
            yield row
        ids.room = room

    def _repeated(self, row: Row, firsts: Mapping[int, _First], columns: tuple[str, str]) -> BrokenRow | None:
        """Return the row as broken, or None if it is the same as the first."""
        row_id, task_id, *_ = row.written
        ids = ((hash(row_id or task_id), row_id or task_id), (hash((task_id,)), task_id))
        problems = [
            Problem(column, f"stands in {self._place(firsts[key].line)} too, with other content", value)
            for (key, value), column in zip(ids, columns, strict=True)
            if key in firsts and not firsts[key].same
        ]
        return BrokenRow(row.line, row.default_row_id, row.given, tuple(problems)) if problems else None

    def _place(self, number: int) -> str:
        """Return a line's name, seen from the catalog in hand."""
        at = bisect_right(self._starts, number - 1) - 1
        line = f"line {number - self._starts[at]}"
        return line if self._names[at] == self._names[-1] else f"{line} of {self._names[at]}"


class _First(NamedTuple):
    """Where an id stood first, and whether with the same body."""

    line: int
    same: bool


class _Ids:
    """A hash table in flat arrays: the hash of an id -> the hash of its row's body, and its line.

    Attributes:
        keys, bodies, lines: by slot; the slot of a key is its lowest bits, or the next free one.
        room: how many ids may still be put in before it must grow.
    """

    def __init__(self) -> None:
        self._make(_FIRST_SLOTS)

    def expect(self, more: int) -> None:
        """Make room for so many more ids at once."""
        slots = len(self.keys)
        while slots * 2 // 3 - (len(self.keys) * 2 // 3 - self.room) < more:
            slots *= 2
        if slots > len(self.keys):
            self.grow(slots)

    def grow(self, slots: int | None = None) -> None:
        """Make room for twice as many ids, or to so many slots."""
        old = zip(self.keys, self.bodies, self.lines, strict=True)
        self._make(slots or 2 * len(self.keys))
        keys, bodies, lines, mask = self.keys, self.bodies, self.lines, self.mask
        for key, body, line in old:
            if key:
                at = key & mask
                while keys[at]:
                    at = (at + 1) & mask
                keys[at], bodies[at], lines[at] = key, body, line
                self.room -= 1

    def _make(self, slots: int) -> None:
        self.mask = slots - 1
        self.room = slots * 2 // 3
        self.keys = array("q", bytes(8 * slots))
        self.bodies = array("q", bytes(8 * slots))
        self.lines = array("I", bytes(4 * slots))
