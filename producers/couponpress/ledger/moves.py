"""Moves specs from state to state, many in one round trip; makes holds and dead letters that follow from moves.

What the state of a spec does not allow changes nothing, so moves may be repeated after a lost reply.
"""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from couponpress.keys import Keys, lane_of, run_of, run_scope
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, RECORD_LOST, DeadLetterChunk
from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.fleet_queries import FleetQueries, Place
from couponpress.ledger.history import MOVED_BY, MovedBy
from couponpress.ledger.lost_records import count_anew, restore_states
from couponpress.ledger.scripts import script

log = logging.getLogger(__name__)

#: A published chunk that no process took up within this time is published again.
TAKE_UP_MS = 20_000
#: The canary: a run is held when the platform rejected this many of its specs and had taken none.
CANARY_SPECS = 50

#: The table of transitions.lua.
MoveName = Literal[
    "accept", "again", "look", "release", "absent", "reject", "expire", "cancel", "succeed", "fail", "dead_letter",
    "pause", "resume", "asked",
]  # fmt: skip
#: Of an id of the platform, so much is kept.
_ID_MAX = 100


@dataclass(slots=True)  # not frozen: making a frozen value takes three times as long, and nobody changes one
class Move:
    """One spec's step from state to state.

    Attributes:
        position: which spec of the chunk.
        name: the step; a step that the spec's state does not allow changes nothing.
        tries: how many tries it spent.
        delay_ms: for `again`, `look` and `absent`: when the spec is due.
        until_ms: for `pause`: when it ends by itself, ms since 1970; 0: never.
        image_url: for `succeed`.
        code: why, as a code.
        message: why, in words.
        request_id: the platform's id of the call that said so; empty when no answer did.
        heard_by: the id of the callback or the query that said so, for the spec's history; empty: `request_id`.
        after_tries: made only while the spec has spent exactly so many: what was learned of one try says nothing about
            the next. None: whatever it has spent.
    """

    position: int
    name: MoveName
    tries: int = 0
    delay_ms: int = 0
    until_ms: int = 0
    image_url: str = ""
    code: str = ""
    message: str = ""
    request_id: str = ""
    heard_by: str = ""
    after_tries: int | None = None

    def wire(self) -> list[Any]:
        """Return the move as transitions.lua reads it."""
        code, record = "", ""
        if self.image_url or self.code or self.message:
            told = [_storable(text) for text in (self.image_url, self.code, self.message)]
            code, record = told[1], compact([*told, _storable(self.request_id)] if self.request_id else told)
        after = -1 if self.after_tries is None else self.after_tries
        said_by = _storable(self.heard_by or self.request_id)[:_ID_MAX]
        return [self.position, self.name, self.tries, self.delay_ms or self.until_ms, code, record, after, said_by]


class MoveLedger:
    """The acts that move specs."""

    def __init__(
        self, client: Redis, keys: Keys, queries: FleetQueries, holds: FleetHolds, *, take_up_ms: int = TAKE_UP_MS
    ) -> None:
        self._client = client
        self._keys = keys
        self._queries = queries
        self._holds = holds
        self._take_up_ms = take_up_ms
        self._transitions = client.register_script(script("transitions"))

    async def move(
        self,
        moves: Mapping[str, Sequence[Move]],
        made: Mapping[str, bytes] | None = None,
        *,
        by: MovedBy = "fleet",
    ) -> dict[str, list[bool]]:
        """Make the moves of several chunks in one round trip. Returns per chunk and move whether it was made.

        Args:
            moves: by chunk.
            made: when a chunk was made that the moves are meant for: a later one of the same id is not touched.
            by: who learned it, for the histories of the specs.
        """
        made = made or {}
        try:
            replies = await self._send_moves(moves, made, by)
        except NoScriptError:  # the server is new, or forgot its scripts; moves already made change nothing again
            await self._client.script_load(self._transitions.script)
            replies = await self._send_moves(moves, made, by)
        for (chunk_id, steps), reply in zip(moves.items(), replies, strict=True):
            if reply[len(steps) :]:
                await self._hold_rejected_run(run_of(chunk_id), steps)
        return {
            chunk_id: [bool(made) for made in reply[: len(steps)]] or [False] * len(steps)
            for (chunk_id, steps), reply in zip(moves.items(), replies, strict=True)
        }

    async def _send_moves(
        self, moves: Mapping[str, Sequence[Move]], made: Mapping[str, bytes], by: MovedBy
    ) -> list[list[int]]:
        # A registered script asks in every pipeline whether the server knows it, which costs a second round trip.
        keys = self._keys
        pipeline = self._client.pipeline(transaction=False)
        for chunk_id, steps in moves.items():
            names, values = transitions_call(keys, chunk_id, steps, made.get(chunk_id, b""), self._take_up_ms, by=by)
            pipeline.evalsha(self._transitions.sha, len(names), *names, *values)
        return cast(list[list[int]], await pipeline.execute())

    async def _hold_rejected_run(self, number: str, steps: Sequence[Move]) -> None:
        """Hold a run of which the platform has taken nothing: the rest of it would most likely be rejected too."""
        name = await cast(Awaitable[bytes | None], self._client.hget(self._keys.run(number), "name"))
        last = next((step for step in reversed(steps) if step.name == "reject"), None)
        why = f", the last one with {last.code}: {last.message}" if last else ""
        if last and last.request_id:
            why += f" (Request-ID {last.request_id})"
        run = shlex.quote((name or number.encode()).decode())
        cure = (
            f"Look at the catalog. If it is wrong: `couponpress cancel {run}`, mend it, and submit it under a new run "
            f"name. If it is right: `couponpress resume {run}` goes on from where it stopped."
        )
        reason = f"the platform rejected its first {CANARY_SPECS} specs and took none{why}"
        await self._holds.hold(run_scope(number), reason, cure, time.time())

    async def dead_letter(self, chunk_id: str, reason: str) -> None:
        """End the specs of a chunk that wait or will be retried, and store the reason for a person."""
        (states,) = await self._queries.fields(chunk_id, "s")
        lost = not states
        if lost:
            states = await restore_states(self._client, self._keys, chunk_id)
        steps = [
            Move(position, "dead_letter", code=DEAD_LETTER_CODE, message=f"its chunk is a dead letter: {reason}")
            for position, letter in enumerate(states)
            if letter in b"wy"
        ]
        letter = DeadLetterChunk(chunk_id, run_of(chunk_id), reason if states else RECORD_LOST, len(steps), time.time())
        await self._client.hset(self._keys.dead_letters, chunk_id, letter.stored())
        log.error("chunk %s is a dead letter, with %d waiting specs: %s", chunk_id, letter.specs, letter.reason)
        if states:
            await self.move({chunk_id: steps})
        else:
            await self._client.zrem(self._keys.open(lane_of(chunk_id)), chunk_id)
            await self._client.zrem(self._keys.waiting_since(lane_of(chunk_id)), chunk_id)
        if lost:
            await count_anew(self._client, self._keys, chunk_id)

    async def release_due_retries(self, limit: int = 1000) -> list[str]:
        """Let specs whose retry is due be sent again; returns the chunks that must be published."""
        return await self._release_due(self._keys.retries, "release", limit)

    async def release_due_pauses(self, limit: int = 1000) -> list[str]:
        """Let paused specs go on whose pause is over; returns the chunks that must be published."""
        return await self._release_due(self._keys.pauses, "resume", limit)

    async def _release_due(self, key: str, name: Literal["release", "resume"], limit: int) -> list[str]:
        due = await self._queries.due(key, await self._queries.now_ms(), limit)
        moves = {
            chunk_id: [Move(position, name) for position in positions] for chunk_id, positions in _by_chunk(due).items()
        }
        made = await self.move(moves)
        # Remove places whose chunk is gone or whose spec has another state.
        stale = [
            f"{chunk_id}/{move.position}"
            for chunk_id, steps in moves.items()
            for move, done in zip(steps, made[chunk_id], strict=True)
            if not done
        ]
        if stale:
            await self._client.zrem(key, *stale)
        return list(moves)

    async def count_throttled(self, chunk_id: str, answers: int) -> None:
        """Count answers that said "too fast" for the chunk's run, and among the totals of all runs."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hincrby(self._keys.run(run_of(chunk_id)), "throttled", answers)
        pipeline.hincrby(self._keys.totals, "throttled", answers)
        await pipeline.execute()


def transitions_call(
    keys: Keys,
    chunk_id: str,
    steps: Sequence[Move],
    made: bytes = b"",
    take_up_ms: int = TAKE_UP_MS,
    *,
    by: MovedBy,
) -> tuple[list[str], list[str]]:
    """Return the names and the values that transitions.lua takes for the moves of one chunk."""
    number = run_of(chunk_id)
    names = [keys.chunk(chunk_id), keys.run(number), keys.reasons(number), keys.open(lane_of(chunk_id))]
    names += [keys.awaiting, keys.retries, keys.looks, keys.finished]
    names += [keys.counts, keys.waiting_since(lane_of(chunk_id)), keys.reasons_seen(number), keys.totals]
    names += [keys.history(chunk_id), keys.pauses, keys.flows(lane_of(chunk_id))]
    moves = compact([step.wire() for step in steps])
    return names, [
        chunk_id,
        number,
        str(take_up_ms),
        moves,
        str(CANARY_SPECS),
        made.decode(),
        str(MOVED_BY.index(by)),
    ]


def _by_chunk(places: Iterable[str]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for place in map(Place.parse, places):
        grouped[place.chunk_id].append(place.position)
    return grouped


def _storable(text: str) -> str:
    """Return the text without the lone surrogates that JSON can smuggle in: they have no UTF-8."""
    return text.encode(errors="replace").decode()


def compact(value: object) -> str:
    """Return a value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
