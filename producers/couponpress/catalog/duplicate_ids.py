"""Finds ids that appear twice in an upload.

A second row with the same ids and the same body is the same work; with another body it is a broken row. Without this
check the ledger would refuse the whole upload at the second row. An id is known by 64 bits of its hash. Among a
million ids the chance that two share a hash is 1 to 40 million, and that would break one good row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from couponpress.catalog.id_table import SPILL_AFTER, IdTable
from couponpress.catalog.rows import BrokenRow, Row
from couponpress.errors import Problem
from couponpress.language import gettext, gettext_noop

#: A note, as a person who reads English sees it.
REPEATED: Final = gettext_noop("row: stands twice; it is the same work")


class DuplicateIds:
    """The ids of every row of an upload so far; use it as a context, for what of them is on disk."""

    def __init__(self, spill_after: int = SPILL_AFTER) -> None:
        """Begin an upload, of which more than `spill_after` ids go to a temporary file."""
        self._ids = IdTable(spill_after)
        self._names: list[str] = []
        #: The number before each catalog's first line, all lines counted through.
        self._starts: list[int] = []
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ids.close()

    def checked(
        self, rows: Iterable[Row | BrokenRow], name: str, columns: tuple[str, str], notes: Counter[str]
    ) -> Iterator[Row | BrokenRow]:
        """Give the rows of one catalog on, one that stands twice as broken or noted.

        Args:
            rows: the rows.
            name: what the catalog is called.
            columns: what its columns of row ids and task ids are called.
            notes: where repeated rows are counted.

        Raises:
            CatalogError: the temporary file failed.
        """
        start = self._last
        self._names.append(name)
        self._starts.append(start)
        put = self._ids.put
        for row in rows:
            if row.__class__ is not Row:
                yield row
                continue
            row_id, task_id, head, tail = row[2]
            body, line = hash((task_id, head, tail)), start + row[0]
            self._last = line
            # A row without a row id goes by its task id.
            key = hash(row_id or task_id)
            known = put(key, body, line)
            firsts = None if known is None else {key: _First(known[1], known[0] == body)}
            if task_id is not None:
                key = hash((task_id,))
                known = put(key, body, line)
                if known is not None:
                    firsts = firsts or {}
                    firsts[key] = _First(known[1], known[0] == body)
            if firsts is not None:
                broken = self._repeated(row, firsts, columns)
                if broken is not None:
                    yield broken
                    continue
                notes[gettext(REPEATED)] += 1
            yield row

    def _repeated(self, row: Row, firsts: Mapping[int, _First], columns: tuple[str, str]) -> BrokenRow | None:
        """Return the row as broken, or None if it is the same as the first."""
        row_id, task_id, *_ = row.serialized_spec
        ids = ((hash(row_id or task_id), row_id or task_id), (hash((task_id,)), task_id))
        problems = [
            Problem(
                column,
                gettext("stands in %(place)s too, with other content") % {"place": self._place(firsts[key].line)},
                value,
            )
            for (key, value), column in zip(ids, columns, strict=True)
            if key in firsts and not firsts[key].same
        ]
        return BrokenRow(row.line, row.default_row_id, row.given, tuple(problems)) if problems else None

    def _place(self, number: int) -> str:
        """Return a line's name, seen from the catalog in hand."""
        at = bisect_right(self._starts, number - 1) - 1
        line = gettext("line %(number)s") % {"number": number - self._starts[at]}
        return (
            line
            if self._names[at] == self._names[-1]
            else gettext("%(line)s of %(name)s") % {"line": line, "name": self._names[at]}
        )


class _First(NamedTuple):
    """Where an id stood first, and whether with the same body."""

    line: int
    same: bool
