"""The specs of a run by filter, one page at a time.

A page costs a bounded number of chunks, however large the run is: when they are looked through and the page is not
full, it says where it stopped and the next page goes on there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import redis

from couponpress.keys import Keys
from couponpress.ledger.progress import outcomes_of_chunk
from couponpress.outcome import STATE_OF_LETTER, Outcome, State

#: Specs on a page.
PAGE_SPECS = 50
#: Chunks that are looked through for a page, and how many of them at a time.
MOST_CHUNKS = 200
CHUNKS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class SpecFilter:
    """Which specs of a run are wanted; an empty field means any.

    Attributes:
        state: a state's name, or `open` or `bad` for several of them.
        code: the code that a spec ended with.
        brand: a brand's id.
        text: a row id or a task_id, whole.
    """

    state: str = ""
    code: str = ""
    brand: str = ""
    text: str = ""

    def takes(self, state: State, line: Outcome) -> bool:
        """Say whether a spec is wanted."""
        return (
            self._takes_state(state)
            and self.code in ("", line.code)
            and self.brand in ("", line.brand_id)
            and self.text in ("", line.row_id, line.task_id)
        )

    def _takes_state(self, state: State) -> bool:
        if self.state == "open":
            return not state.ended
        if self.state == "bad":
            return state.ended and state is not State.SUCCEEDED
        return self.state in ("", state.value)

    def query(self) -> dict[str, str]:
        """Return the fields that are set, as a query string's."""
        fields = {"state": self.state, "code": self.code, "brand": self.brand, "text": self.text}
        return {name: text for name, text in fields.items() if text}


@dataclass(frozen=True, slots=True)
class SpecLine:
    """One spec on a page."""

    state: State
    line: Outcome


@dataclass(frozen=True, slots=True)
class SpecPage:
    """A page of specs, and where the next one begins; an empty cursor means that there is none."""

    specs: list[SpecLine]
    next_cursor: str


class SpecReader:
    """Reads pages of specs, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def page(self, run: str, wanted: SpecFilter, sees: Callable[[str], bool], cursor: str = "") -> SpecPage:
        """Return the wanted specs of a run from a cursor on, those of brands that may be seen.

        Raises:
            ValueError: the cursor is none.
        """
        first, skip = (int(part) for part in (cursor or "1.0").split("."))
        if first < 1 or skip < 0:
            raise ValueError(cursor)
        chunks = int(cast(bytes | None, self._client.hget(self._keys.run(run), "chunks")) or 0)
        last = min(chunks, first + MOST_CHUNKS - 1)
        found: list[SpecLine] = []
        for begin in range(first, last + 1, CHUNKS_AT_ONCE):
            sequences = range(begin, min(begin + CHUNKS_AT_ONCE, last + 1))
            for sequence, fields in zip(sequences, self._chunks(run, sequences), strict=True):
                for position, one in enumerate(_lines(fields)):
                    if sequence == first and position < skip:
                        continue
                    if wanted.takes(one.state, one.line) and sees(one.line.brand_id):
                        if len(found) == PAGE_SPECS:
                            return SpecPage(found, f"{sequence}.{position}")
                        found.append(one)
        return SpecPage(found, f"{last + 1}.0" if last < chunks else "")

    def messages(self, places: Sequence[str]) -> dict[str, str]:
        """Return what specs were told in words when they ended, by their places: a chunk's id and a position."""
        with self._client.pipeline(transaction=False) as pipeline:
            for place in places:
                chunk_id, _, position = place.partition("/")
                pipeline.hget(self._keys.chunk(chunk_id), position)
            records = cast(list[bytes | None], pipeline.execute())
        return {place: json.loads(record)[2] for place, record in zip(places, records, strict=True) if record}

    def _chunks(self, run: str, sequences: range) -> list[dict[bytes, bytes]]:
        with self._client.pipeline(transaction=False) as pipeline:
            for sequence in sequences:
                pipeline.hgetall(self._keys.chunk(f"{run}.{sequence}"))
            return cast(list[dict[bytes, bytes]], pipeline.execute())


def _lines(fields: dict[bytes, bytes]) -> list[SpecLine]:
    states = fields.get(b"s", b"").decode(errors="replace")
    return [
        SpecLine(state, line)
        for letter, line in zip(states, outcomes_of_chunk(fields), strict=False)
        if (state := STATE_OF_LETTER.get(letter)) is not None
    ]
