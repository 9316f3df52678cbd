"""Chooses which rows of a night are sent: those that are new or changed since they last succeeded.

Compares fingerprints of the rows' bodies without the task_id, because every night gives a row a new task_id. A row that
an earlier run still works on, unchanged, is left to that run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from couponpress.nightly.plan import Counts
from couponpress.nightly.row_fingerprints import fingerprint_of, row_digest
from couponpress.serialized_spec import SerializedSpec

#: How many rows are looked up at once. It takes Redis a millisecond or two, in which no slot is granted.
BATCH = 100

#: Takes row digests and returns for each the fingerprint with which the row last succeeded, or None.
Remembered = Callable[[Sequence[bytes]], Sequence[bytes | None]]


class Diff:
    """Selects the rows to send, and counts the others."""

    def __init__(
        self, remembered: Remembered | None, under_way: Mapping[bytes, bytes], *, may_replace: bool = False
    ) -> None:
        """Compare with what is remembered and with what is under way. None means that every row is sent.

        With `may_replace` the rows under way are kept in memory until it is known whether their run is taken back.
        """
        self._remembered = remembered
        self._under_way = under_way
        self._may_replace = may_replace
        self._left: list[tuple[bytes, SerializedSpec]] = []
        self._changed = self._unchanged = self._under_way_rows = 0

    def counts(self, broken: int) -> Counts:
        """Return the counts so far."""
        rows = self._changed + self._unchanged + self._under_way_rows
        return Counts(rows, self._changed, self._unchanged, self._under_way_rows, broken)

    def taken_back(self, still_under_way: Mapping[bytes, bytes]) -> Iterator[SerializedSpec]:
        """Yield the rows that were left to an earlier run and that the cancelled run no longer has."""
        for digest, one in self._left:
            if digest not in still_under_way:
                self._under_way_rows -= 1
                self._changed += 1
                yield one

    def changed(self, specs: Iterator[SerializedSpec]) -> Iterator[SerializedSpec]:
        """Yield the rows to send, without a task_id: it is made from the night's run and the row id."""
        while batch := list(islice(specs, BATCH)):
            settled = [SerializedSpec(one.row_id or one.task_id, None, one.head, one.tail) for one in batch]
            if self._remembered is None:
                self._changed += len(settled)
                yield from settled
                continue
            digests = [row_digest(str(one.row_id)) for one in settled]
            for one, digest, known in zip(settled, digests, self._remembered(digests), strict=True):
                now = fingerprint_of(one.head, one.tail)
                if known == now:
                    self._unchanged += 1
                elif self._under_way.get(digest) == now:
                    self._under_way_rows += 1
                    if self._may_replace:
                        self._left.append((digest, one))
                else:
                    self._changed += 1
                    yield one
