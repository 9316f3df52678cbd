"""Follows one run: yields each outcome once, soon after it is known, without reading the whole run each time.

While nothing new has ended, a look costs one small read. Otherwise it reads the states of open chunks, 100 bytes for
each, from the oldest on, and stops when it has found as much as the run's counts say is new. It reads rows and records
only of chunks with news. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import cast

import redis

from couponpress.keys import Keys
from couponpress.ledger.progress import READ_BATCH, outcomes_of_chunk
from couponpress.outcome import LETTERS, OUTCOMES, Outcome

#: How many chunks' states are read in one round trip: some 20 KB.
STATES_BATCH = 200

_ENDED = frozenset(LETTERS[state] for state in OUTCOMES)
_COUNTS = tuple(state.value for state in sorted(OUTCOMES))


class Follower:
    """Follows one run, over a blocking client that answers in bytes.

    Attributes:
        finished: whether every spec had its outcome at the latest look, or the run is forgotten; then all are told.
    """

    def __init__(self, client: redis.Redis, keys: Keys, number: str) -> None:
        self._client = client
        self._keys = keys
        self._number = number
        self._chunks = 0
        self._told = 0
        #: Chunk -> the positions that were yielded. Chunks of which all were yielded are removed.
        self._open: dict[int, frozenset[int]] = {}
        self.finished = False

    def look(self) -> Iterator[Outcome]:
        """Yield what has ended since the last look. Run it to its end."""
        fields = cast(
            list[bytes | None],
            self._client.hmget(self._keys.run(self._number), ["name", "chunks", "finished_ms", "uploading", *_COUNTS]),
        )
        name, chunks, finished_ms, uploading, *counts = fields
        self.finished = name is None or bool(finished_ms and not int(uploading or 0))
        self._open.update(dict.fromkeys(range(self._chunks + 1, int(chunks or 0) + 1), frozenset()))
        self._chunks = max(self._chunks, int(chunks or 0))
        ended = sum(int(count or 0) for count in counts)
        sequences = iter(list(self._open))
        # A redriven spec has ended twice but is told once, so the last look goes through all that is open.
        while (self.finished or self._told < ended) and (batch := list(islice(sequences, STATES_BATCH))):
            yield from self._told_of(batch)

    def _told_of(self, sequences: list[int]) -> Iterator[Outcome]:
        news = []
        for sequence, states in zip(sequences, self._read(sequences, ["s"]), strict=True):
            if states[0] is None:  # discarded with its upload, or forgotten
                del self._open[sequence]
            elif any(letter in _ENDED and at not in self._open[sequence] for at, letter in enumerate(_text(states[0]))):
                news.append(sequence)
        for first in range(0, len(news), READ_BATCH):
            yield from self._outcomes_of(news[first : first + READ_BATCH])

    def _outcomes_of(self, sequences: list[int]) -> Iterator[Outcome]:
        names = ["s", "t", "z", *map(str, range(100))]
        for sequence, values in zip(sequences, self._read(sequences, names), strict=True):
            fields = {name.encode(): value for name, value in zip(names, values, strict=True) if value is not None}
            told = self._open[sequence]
            states = _text(fields.get(b"s", b""))
            now = {at for at, letter in enumerate(states) if letter in _ENDED}
            for position, outcome in enumerate(outcomes_of_chunk(fields)):
                if position in now and position not in told:
                    self._told += 1
                    yield outcome
            self._open[sequence] = told | now
            if len(self._open[sequence]) == len(states):
                del self._open[sequence]

    def _read(self, sequences: list[int], names: list[str]) -> list[list[bytes | None]]:
        with self._client.pipeline(transaction=False) as pipeline:
            for sequence in sequences:
                pipeline.hmget(self._keys.chunk(f"{self._number}.{sequence}"), names)
            return cast(list[list[bytes | None]], pipeline.execute())


def _text(states: bytes) -> str:
    return states.decode()
