"""Finds one spec by its task_id, with all that is known of it, and runs by the beginning of their name. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import redis

from couponpress.keys import Keys, index_bucket, index_entry, run_of
from couponpress.ledger.chunks import DIGEST_BYTES, unpack
from couponpress.ledger.history import SpecEvent, made_at_ms, read_events
from couponpress.ledger.progress import outcomes_of_chunk
from couponpress.outcome import STATE_OF_LETTER, Outcome, State


@dataclass(frozen=True, slots=True)
class SpecHistory:
    """All that is known of one spec.

    Attributes:
        run: the name of its run.
        run_number: the number of its run.
        state: where the spec is.
        line: its line of the results.
        body: the request's body, as it is signed and sent.
        events: what happened to it, the oldest first, from its enqueueing on; at most the last 20 after that.
        older_events: how many happened between its enqueueing and the others of `events`.
        chunk_id: the chunk that holds it.
        owner: the process that has its chunk in hand; empty when none.
        due: when it is tried or asked about again, seconds since 1970; None when that is not settled.
        paused_until: when its pause ends by itself, seconds since 1970; None when it has no such end.
    """

    run: str
    run_number: str
    state: State
    line: Outcome
    body: dict[str, Any]
    events: tuple[SpecEvent, ...]
    older_events: int
    chunk_id: str
    owner: str
    due: float | None
    paused_until: float | None


@dataclass(frozen=True, slots=True)
class _Placed:
    """What is stored of a spec's chunk, of its run, and of the spec's next moments."""

    chunk_id: str
    position: int
    fields: dict[bytes, bytes]
    history: list[bytes]
    run: str
    due_ms: float | None
    paused_until_ms: float | None


class FindingLedger:
    """The searching side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def spec(self, task_id: str) -> SpecHistory | None:
        """Return what is known of the spec of a task_id; None when nothing is, or its chunk cannot be read."""
        placed = self._placed(task_id)
        if placed is None:
            return None
        fields, position = placed.fields, placed.position
        line = next(islice(outcomes_of_chunk(fields), position, None), None)
        if line is None or line.task_id != task_id:
            return None
        state = STATE_OF_LETTER[fields[b"s"].decode()[position]]
        made = fields.get(b"made", b"")
        accepted_by = line.request_id if state is State.ACCEPTED else ""
        events = read_events(placed.history, position, made, accepted_by)
        enqueued = (SpecEvent(made_at_ms(made) / 1000, "enqueued", "producer"),) if made else ()
        return SpecHistory(
            run=placed.run,
            run_number=run_of(placed.chunk_id),
            state=state,
            line=line,
            body=json.loads(unpack(fields[b"z"])[position].body),
            events=(*enqueued, *events.shown),
            older_events=events.older,
            chunk_id=placed.chunk_id,
            owner=fields.get(b"owner", b"").decode(),
            due=None if placed.due_ms is None else placed.due_ms / 1000,
            paused_until=None if placed.paused_until_ms is None else placed.paused_until_ms / 1000,
        )

    def _placed(self, task_id: str) -> _Placed | None:
        # Half a surrogate pair, as a terminal can give it, is in no stored id; so it must find nothing, not fail.
        entry = index_entry(task_id.encode(errors="replace").decode())
        indexed = cast(bytes | None, self._client.hget(self._keys.index + index_bucket(entry), cast(str, entry)))
        if indexed is None:
            return None
        place = indexed[DIGEST_BYTES:].decode()
        chunk_id, _, position = place.partition("/")
        keys = self._keys
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(keys.chunk(chunk_id))
            pipeline.lrange(keys.history(chunk_id), 0, -1)
            pipeline.hget(keys.run(run_of(chunk_id)), "name")
            for moments in (keys.retries, keys.looks, keys.pauses):
                pipeline.zscore(moments, place)
            fields, history, name, retry, look, pause = pipeline.execute()
        if name is None:
            return None
        due = retry if look is None else look
        return _Placed(chunk_id, int(position), fields, history, name.decode(), due, pause)

    def run_numbers(self, prefix: str) -> list[str]:
        """Return the numbers of the runs whose name begins with `prefix`, the youngest first.

        The empty prefix means every run.
        """
        known = cast(dict[bytes, bytes], self._client.hgetall(self._keys.run_numbers))
        numbers = [number.decode() for name, number in known.items() if name and name.decode().startswith(prefix)]
        return sorted(numbers, key=lambda number: -int(number[1:], 16))
