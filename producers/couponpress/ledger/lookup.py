"""Finds one spec by its task_id, and runs by the beginning of their name. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import cast

import redis

from couponpress.keys import Keys, index_bucket, index_entry, run_of
from couponpress.ledger.chunks import DIGEST_BYTES
from couponpress.ledger.progress import outcomes_of_chunk
from couponpress.outcome import STATE_OF_LETTER, Outcome, State


@dataclass(frozen=True, slots=True)
class FoundSpec:
    """One spec as the ledger knows it: its run's name, its state, and its line of the results."""

    run: str
    state: State
    line: Outcome


@dataclass(frozen=True, slots=True)
class PlacedSpec:
    """Where the index says that a spec is: its chunk, its place there, the chunk's record, and its run's name."""

    chunk_id: str
    position: int
    fields: dict[bytes, bytes]
    run: str


class FindingLedger:
    """The searching side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def placed(self, task_id: str) -> PlacedSpec | None:
        """Return where the spec of a task_id is, with its chunk's record; None when nothing is known of it."""
        entry = index_entry(task_id)
        indexed = cast(bytes | None, self._client.hget(self._keys.index + index_bucket(entry), cast(str, entry)))
        if indexed is None:
            return None
        chunk_id, _, position = indexed[DIGEST_BYTES:].decode().partition("/")
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(self._keys.chunk(chunk_id))
            pipeline.hget(self._keys.run(run_of(chunk_id)), "name")
            fields, name = cast(tuple[dict[bytes, bytes], bytes | None], pipeline.execute())
        return None if name is None else PlacedSpec(chunk_id, int(position), fields, name.decode())

    def spec(self, task_id: str) -> FoundSpec | None:
        """Return the spec of a task_id; None when it is not known, or its chunk cannot be read."""
        placed = self.placed(task_id)
        if placed is None:
            return None
        line = next(islice(outcomes_of_chunk(placed.fields), placed.position, None), None)
        if line is None or line.task_id != task_id:
            return None
        return FoundSpec(placed.run, STATE_OF_LETTER[placed.fields[b"s"].decode()[placed.position]], line)

    def run_numbers(self, prefix: str) -> list[str]:
        """Return the numbers of the runs whose name begins with `prefix`, the youngest first.

        The empty prefix means every run.
        """
        known = cast(dict[bytes, bytes], self._client.hgetall(self._keys.run_numbers))
        numbers = [number.decode() for name, number in known.items() if name and name.decode().startswith(prefix)]
        return sorted(numbers, key=lambda number: -int(number[1:], 16))
