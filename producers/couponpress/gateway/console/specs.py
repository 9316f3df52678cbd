"""The specs of a run by filter, one page at a time, and everything that is known of one spec.

A page costs a bounded number of chunks, however large the run is: when they are looked through and the page is not
full, it says where it stopped and the next page goes on there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from couponpress.errors import DamagedChunkError
from couponpress.keys import Keys, run_of
from couponpress.ledger.chunks import unpack
from couponpress.ledger.lookup import FindingLedger
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


@dataclass(frozen=True, slots=True)
class SpecHistory:
    """All that is known of one spec.

    Attributes:
        run: the number of its run.
        run_name: the run's name.
        state: where the spec is.
        line: its line of the results.
        chunk_id: the chunk that holds it.
        body: the request's body, as it is signed and sent.
        enqueued_at: when its chunk was enqueued, seconds since 1970; 0 when the record does not tell.
        accepted_at: when the platform accepted a spec of this chunk last, seconds since 1970; 0 when none.
        looked_for_since: since when the fleet asks for it, seconds since 1970; 0 when it does not.
        owner: the process that has its chunk in hand; empty when none.
    """

    run: str
    run_name: str
    state: State
    line: Outcome
    chunk_id: str
    body: dict[str, Any]
    enqueued_at: float
    accepted_at: float
    looked_for_since: float
    owner: str


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

    def history(self, task_id: str) -> SpecHistory | None:
        """Return what is known of a task_id; None when nothing is."""
        placed = FindingLedger(self._client, self._keys).placed(task_id)
        if placed is None:
            return None
        fields, position = placed.fields, placed.position
        lines = _lines(fields)
        if position >= len(lines) or lines[position].line.task_id != task_id:
            return None
        return SpecHistory(
            run=run_of(placed.chunk_id),
            run_name=placed.run,
            state=lines[position].state,
            line=lines[position].line,
            chunk_id=placed.chunk_id,
            body=_body(fields, position),
            enqueued_at=int(fields.get(b"made", b"0").partition(b".")[0]),
            accepted_at=int(fields.get(b"accepted_ms", 0)) / 1000,
            looked_for_since=int(fields.get(f"l{position}".encode(), 0)) / 1000,
            owner=fields.get(b"owner", b"").decode(),
        )

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


def _body(fields: dict[bytes, bytes], position: int) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(unpack(fields.get(b"z", b""))[position].body)
    except (DamagedChunkError, ValueError, IndexError):
        return {}
    return body
