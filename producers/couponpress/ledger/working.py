"""The fleet's acts on the ledger: lease, renew, give back, move specs, look places up, release, hold, forget.

Over an asyncio client that answers in bytes. Every act may be repeated after a lost reply.
"""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from couponpress.errors import DamagedChunkError
from couponpress.keys import HELD_SCORE, LANES, Keys, index_bucket, index_entry, lane_of, run_of, run_scope
from couponpress.ledger.chunks import Row, digests_of_rows, unpack
from couponpress.ledger.lost_records import count_anew, digests_by_index, restore_states
from couponpress.ledger.reading import Hold
from couponpress.ledger.scripts import script
from couponpress.ledger.setting_aside import (
    LOST_LEASES,
    RECORD_LOST,
    SET_ASIDE_CODE,
    SetAsideChunk,
    killed_its_workers,
)

log = logging.getLogger(__name__)

#: How long a lease lives without being renewed.
LEASE_MS = 30_000
#: Within this time whoever was told of a chunk's rest must have taken it up; else it is published again.
TAKE_UP_MS = 20_000
#: The canary: a run is held when the platform rejected its first specs, so many of them, and took none.
CANARY_SPECS = 50

MoveName = Literal[
    "accept", "again", "look", "release", "absent", "reject", "expire", "cancel", "succeed", "fail", "set_aside"
]  # the table of transitions.lua


@dataclass(frozen=True, slots=True)
class Place:
    """Where a spec stands: its chunk and its position there."""

    chunk_id: str
    position: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `chunk id/position`."""
        chunk_id, _, position = text.rpartition("/")
        return cls(chunk_id, int(position))


@dataclass(frozen=True, slots=True)
class Move:
    """One spec's step from state to state.

    Attributes:
        position: which spec of the chunk.
        name: the step; a step that the spec's state does not allow changes nothing.
        tries: how many tries it spent.
        delay_ms: for `again`, `look` and `absent`: when the spec is due.
        image_url: for `succeed`.
        code: why, as a code.
        message: why, in words.
        after_tries: made only while the spec has spent exactly so many: what was learned of one try says nothing about
            the next. None: whatever it has spent.
    """

    position: int
    name: MoveName
    tries: int = 0
    delay_ms: int = 0
    image_url: str = ""
    code: str = ""
    message: str = ""
    after_tries: int | None = None

    def wire(self) -> list[Any]:
        """Return the move as transitions.lua reads it."""
        told = [_storable(text) for text in (self.image_url, self.code, self.message)]
        record = _compact(told) if any(told) else ""
        after = -1 if self.after_tries is None else self.after_tries
        return [self.position, self.name, self.tries, self.delay_ms, told[1], record, after]


@dataclass(frozen=True, slots=True)
class Leased:
    """A chunk in hand: its rows, of each the state letter and the tries spent; and when it was made."""

    chunk_id: str
    rows: list[Row]
    states: str
    tries: list[int]
    made: bytes = b""

    def waiting(self) -> list[int]:
        """Return the positions that are to be sent."""
        return [position for position, letter in enumerate(self.states) if letter == "w"]


class Standing(NamedTuple):
    """How a chunk stands: its rows, of each the state letter and the tries spent; and when it was made."""

    rows: list[Row]
    states: str
    tries: list[int]
    made: bytes


NotLeased = Literal["nothing", "taken", "held", "suspect", "set aside"]

#: The version of chunk records that this code reads and writes.
RECORD_VERSION = b"1"


class WorkLedger:
    """The fleet's side of the ledger."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._lease = client.register_script(script("lease"))
        self._renew = client.register_script(script("renew"))
        self._give_back = client.register_script(script("give_back"))
        self._transitions = client.register_script(script("transitions"))
        self._hold = client.register_script(script("hold"))
        self._abandoned = client.register_script(script("abandoned"))
        self._forget = client.register_script(script("forget"))
        self._forget_run = client.register_script(script("forget_run"))

    async def lease(self, chunk_id: str, owner: str) -> Leased | NotLeased:
        """Take a chunk in hand for LEASE_MS, or say why not; an owner is a process, and after a `/` which lease."""
        keys = self._keys
        suspect = keys.suspect(owner.partition("/")[0])
        scope = run_scope(run_of(chunk_id))
        told, *rest = cast(
            list[bytes],
            await self._lease(
                [keys.chunk(chunk_id), keys.open(lane_of(chunk_id)), keys.holds, suspect],
                [chunk_id, owner, LEASE_MS, scope, HELD_SCORE, LOST_LEASES, keys.chunk("")],
            ),
        )
        if told == b"damaged":
            await self.set_aside(chunk_id, "its record is not whole")
            return "set aside"
        if told != b"leased":
            return cast(NotLeased, told.decode())
        stored, states, tries, version, made = rest
        if version != RECORD_VERSION:  # nobody may touch what he cannot read; a newer worker can
            cure = "upgrade every worker, then `couponpress resume` the run"
            await self.hold(scope, f"chunk {chunk_id} has a record of version {version.decode()!r}", cure, time.time())
            await self.give_back(chunk_id, owner)
            return "held"
        try:
            standing = _standing(stored, states, tries, made)
        except DamagedChunkError as error:
            await self.set_aside(chunk_id, str(error))
            await self.give_back(chunk_id, owner)
            return "set aside"
        return Leased(chunk_id, *standing)

    async def set_aside(self, chunk_id: str, reason: str) -> None:
        """End what of a chunk waits to be sent, now or later, and keep the reason for a person."""
        (states,) = await self._fields(chunk_id, "s")
        lost = not states
        if lost:
            states = await restore_states(self._client, self._keys, chunk_id)
        steps = [
            Move(position, "set_aside", code=SET_ASIDE_CODE, message=f"its chunk was set aside: {reason}")
            for position, letter in enumerate(states)
            if letter in b"wy"
        ]
        aside = SetAsideChunk(chunk_id, run_of(chunk_id), reason if states else RECORD_LOST, len(steps), time.time())
        await self._client.hset(self._keys.set_aside, chunk_id, aside.stored())
        log.error("chunk %s is set aside, with %d waiting specs: %s", chunk_id, aside.specs, aside.reason)
        if states:
            await self.move({chunk_id: steps})
        else:
            await self._client.zrem(self._keys.open(lane_of(chunk_id)), chunk_id)
        if lost:
            await count_anew(self._client, self._keys, chunk_id)

    async def renew(self, chunk_id: str, owner: str) -> bool:
        """Keep a lease for another LEASE_MS; False when it is lost, and nothing of the chunk may be sent."""
        keys = [self._keys.chunk(chunk_id), self._keys.open(lane_of(chunk_id))]
        return bool(await self._renew(keys, [chunk_id, owner, LEASE_MS]))

    async def give_back(self, chunk_id: str, owner: str, kept: Mapping[int, str] | None = None) -> int:
        """End a lease.

        Args:
            chunk_id: the chunk.
            owner: who leased it.
            kept: positions that were not sent, and the scope of the hold that keeps each of them back.

        Returns:
            how many specs still wait to be sent: if any, the chunk is to be published again. -1 when the lease was
            lost, -2 when holds keep everything back that waits: then a release brings the chunk back.
        """
        keys = [self._keys.chunk(chunk_id), self._keys.open(lane_of(chunk_id)), self._keys.holds]
        values: list[str | int] = [chunk_id, owner, TAKE_UP_MS, HELD_SCORE, _compact(dict(kept or {}))]
        return int(cast(int, await self._give_back(keys, values)))

    async def move(
        self, moves: Mapping[str, Sequence[Move]], made: Mapping[str, bytes] | None = None
    ) -> dict[str, list[bool]]:
        """Make the moves of several chunks in one round trip. Returns per chunk and move whether it was made.

        `made` says when a chunk was made that the moves are meant for: a later one of the same id is not touched.
        """
        made = made or {}
        try:
            replies = await self._send_moves(moves, made)
        except NoScriptError:  # the server is new, or forgot its scripts; moves already made change nothing again
            await self._client.script_load(self._transitions.script)
            replies = await self._send_moves(moves, made)
        for (chunk_id, steps), reply in zip(moves.items(), replies, strict=True):
            if reply[len(steps) :]:
                await self._hold_rejected_run(run_of(chunk_id), steps)
        return {
            chunk_id: [bool(made) for made in reply[: len(steps)]] or [False] * len(steps)
            for (chunk_id, steps), reply in zip(moves.items(), replies, strict=True)
        }

    async def _send_moves(self, moves: Mapping[str, Sequence[Move]], made: Mapping[str, bytes]) -> list[list[int]]:
        # A registered script would ask in every pipeline whether the server knows it: a second round trip.
        keys = self._keys
        pipeline = self._client.pipeline(transaction=False)
        for chunk_id, steps in moves.items():
            names, values = transitions_call(keys, chunk_id, steps, made.get(chunk_id, b""))
            pipeline.evalsha(self._transitions.sha, len(names), *names, *values)
        return cast(list[list[int]], await pipeline.execute())

    async def _hold_rejected_run(self, number: str, steps: Sequence[Move]) -> None:
        """Hold a run of which the platform has taken nothing: with the rest of it every further call would fail."""
        name = await cast(Awaitable[bytes | None], self._client.hget(self._keys.run(number), "name"))
        last = next((step for step in reversed(steps) if step.name == "reject"), None)
        why = f", the last one with {last.code}: {last.message}" if last else ""
        run = shlex.quote((name or number.encode()).decode())
        cure = (
            f"Look at the catalog. If it is wrong: `couponpress cancel {run}`, mend it, and submit it under a new run "
            f"name. If it is right: `couponpress resume {run}` goes on from where it stopped."
        )
        reason = f"the platform rejected its first {CANARY_SPECS} specs and took none{why}"
        await self.hold(run_scope(number), reason, cure, time.time())

    async def places(self, task_ids: Sequence[str]) -> list[Place | None]:
        """Return where each task_id stands, in one round trip; None for one that is not known."""
        pipeline = self._client.pipeline(transaction=False)
        for task_id in task_ids:
            entry = index_entry(task_id)
            pipeline.hget(self._keys.index + index_bucket(entry), cast(str, entry))
        found = cast(list[bytes | None], await pipeline.execute())
        return [Place.parse(value[8:].decode()) if value else None for value in found]

    async def rows(self, chunk_id: str) -> tuple[list[Row], str]:
        """Return the rows of a chunk and their state letters; nothing of a chunk that is forgotten.

        Raises:
            DamagedChunkError: the rows cannot be read.
        """
        standing = await self.standing(chunk_id)
        return standing.rows, standing.states

    async def standing(self, chunk_id: str) -> Standing:
        """Return the same and more; nothing of a chunk that is forgotten.

        Raises:
            DamagedChunkError: as `rows`.
        """
        stored, states, tries, made = await self._fields(chunk_id, "z", "s", "t", "made")
        return _standing(stored, states, tries, made) if stored or states else Standing([], "", [], b"")

    async def _digests(self, chunk_id: str) -> bytes:
        try:
            return digests_of_rows((await self.rows(chunk_id))[0])
        except (DamagedChunkError, ValueError, KeyError):
            return await digests_by_index(self._client, self._keys, chunk_id)

    async def history(self, place: Place) -> tuple[int, str, str]:
        """Return how many tries a spec has spent, and the code and message of the last one."""
        tries, record = await self._fields(place.chunk_id, "t", str(place.position))
        spent = tries[place.position] - ord("0") if tries else 0
        _, code, message = json.loads(record) if record else ("", "", "")
        return spent, code, message

    async def _fields(self, chunk_id: str, *names: str) -> list[bytes]:
        found = await cast(Awaitable[list[bytes | None]], self._client.hmget(self._keys.chunk(chunk_id), list(names)))
        return [value or b"" for value in found]

    async def now_ms(self) -> int:
        """Return Redis's clock, milliseconds since 1970."""
        seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def release_due_retries(self, limit: int = 1000) -> list[str]:
        """Let the retries that are due be sent again; returns the chunks that must be published."""
        due = await self._due(self._keys.retries, await self.now_ms(), limit)
        moves = {
            chunk_id: [Move(position, "release") for position in positions]
            for chunk_id, positions in _by_chunk(due).items()
        }
        if not moves:
            return []
        made = await self.move(moves)
        # A place whose chunk is gone, or whose spec moved on, is due no more either.
        stale = [
            f"{chunk_id}/{move.position}"
            for chunk_id, steps in moves.items()
            for move, done in zip(steps, made[chunk_id], strict=True)
            if not done
        ]
        if stale:
            await self._client.zrem(self._keys.retries, *stale)
        return list(moves)

    async def due_looks(self, limit: int) -> list[Place]:
        """Return specs that are to be queried now, the oldest first."""
        return [Place.parse(text) for text in await self._due(self._keys.looks, await self.now_ms(), limit)]

    async def postpone_look(self, place: Place, delay_ms: int) -> None:
        """Query a spec again later, so that those behind it have their turn."""
        due_ms = await self.now_ms() + delay_ms
        await self._client.zadd(self._keys.looks, {f"{place.chunk_id}/{place.position}": due_ms}, xx=True)

    async def looking_seconds(self, place: Place) -> float:
        """Return for how many seconds a spec has been looked for; 0 when nobody noted since when."""
        (since_ms,) = await self._fields(place.chunk_id, f"l{place.position}")
        now_ms = await self.now_ms()
        return (now_ms - int(since_ms or now_ms)) / 1000

    async def drop_look(self, place: Place) -> None:
        """Strike a spec that needs no look any more off the list."""
        await self._client.zrem(self._keys.looks, f"{place.chunk_id}/{place.position}")

    async def overdue_chunks(self, silent_seconds: int, limit: int) -> list[str]:
        """Return chunks whose accepted specs were neither completed nor queried for `silent_seconds`, oldest first."""
        now_ms = await self.now_ms()
        return await self._due(self._keys.awaiting, now_ms - silent_seconds * 1000, limit)

    async def accepted_seconds_ago(self, chunk_id: str) -> float:
        """Return how many seconds ago a spec of the chunk was last accepted."""
        (accepted_ms,) = await self._fields(chunk_id, "accepted_ms")
        now_ms = await self.now_ms()
        return (now_ms - int(accepted_ms or now_ms)) / 1000

    async def queried(self, chunk_id: str) -> None:
        """Note that a chunk's accepted specs were queried just now: their silence starts anew."""
        await self._client.zadd(self._keys.awaiting, {chunk_id: await self.now_ms()}, xx=True)

    async def abandoned(self, limit: int = 500) -> list[str]:
        """Return chunks that nobody took up, or whose lease ran out; the lease is over and their time starts anew.

        Those whose leases were lost LOST_LEASES times in a row are set aside instead.
        """
        chunks: list[str] = []
        for lane in LANES:
            values: list[int | str] = [limit, self._keys.chunk(""), TAKE_UP_MS, LOST_LEASES]
            publish, condemned = cast(list[list[bytes]], await self._abandoned([self._keys.open(lane)], values))
            chunks += [chunk_id.decode() for chunk_id in publish]
            for chunk_id in condemned:
                (lost_by,) = await self._fields(chunk_id.decode(), "lost_by")
                await self.set_aside(chunk_id.decode(), killed_its_workers(lost_by.decode()))
        return chunks

    async def waiting(self, lane: str, limit: int) -> list[str]:
        """Return chunks of a lane that nobody has taken in hand yet."""
        return await self._due(self._keys.open(lane), 0, limit)

    async def unannounced(self, limit: int = 500) -> list[str]:
        """Return chunks that wait although their lane's queue is empty: their hint was lost, or never sent."""
        chunks: list[str] = []
        now_ms = await self.now_ms()
        for lane in LANES:
            if not await self._client.llen(self._keys.queue(lane)):
                found = await self._due(self._keys.open(lane), 0, limit)
                chunks += found
                if found:
                    again = dict.fromkeys(found, now_ms + TAKE_UP_MS)
                    await self._client.zadd(self._keys.open(lane), again, xx=True)
        return chunks

    async def _due(self, key: str, until_ms: int, limit: int) -> list[str]:
        found = await cast(Awaitable[list[bytes]], self._client.zrangebyscore(key, 0, until_ms, start=0, num=limit))
        return [member.decode() for member in found]

    async def hold(self, scope: str, reason: str, cure: str, since: float) -> bool:
        """Stop submitting for `partner`, `run:NUMBER` or `brand:ID`; every process hears of it at once.

        Returns False when it is held already: the first reason stays.
        """
        names = [self._keys.holds, self._keys.holds_changed]
        return bool(await self._hold(names, [scope, Hold(scope, reason, cure, since).to_json()]))

    async def holds(self) -> dict[str, Hold]:
        """Return every hold by its scope."""
        found = await cast(Awaitable[dict[bytes, bytes]], self._client.hgetall(self._keys.holds))
        return {scope.decode(): Hold.from_json(scope.decode(), text) for scope, text in found.items()}

    async def accepted_within(self, seconds: float) -> bool:
        """Whether the platform accepted a spec of this partner within so long, as far as those still open tell."""
        newest = await cast(Awaitable[list[bytes]], self._client.zrange(self._keys.awaiting, 0, 19, desc=True))
        moments = [int((await self._fields(chunk_id.decode(), "accepted_ms"))[0] or 0) for chunk_id in newest]
        return max(moments, default=0) >= await self.now_ms() - seconds * 1000

    async def count_throttled(self, chunk_id: str, answers: int) -> None:
        """Count answers that said "too fast" for the chunk's run."""
        run = self._keys.run(run_of(chunk_id))
        await self._client.hincrby(run, "throttled", answers)

    async def forget_finished(self, result_ttl_seconds: int) -> list[str]:
        """Delete every run whose results have lived `result_ttl_seconds`; returns their numbers."""
        keys, forgotten = self._keys, []
        for number in await self._due(keys.finished, await self.now_ms() - result_ttl_seconds * 1000, 10):
            chunks = await cast(Awaitable[bytes | None], self._client.hget(keys.run(number), "chunks"))
            for sequence in range(1, int(chunks or 0) + 1):
                chunk_id = f"{number}.{sequence}"
                if not await self._forget(
                    [keys.chunk(chunk_id), keys.finished, keys.run(number), keys.upload_lock(number)],
                    [number, keys.index, await self._digests(chunk_id)],
                ):
                    break
                await self._client.hdel(keys.set_aside, chunk_id)
            if await self._forget_run(
                [keys.run(number), keys.run_numbers, keys.runs, keys.finished, keys.reasons(number)]
                + [keys.upload_lock(number), keys.holds],
                [number, run_scope(number)],
            ):
                forgotten.append(number)
        return forgotten


def transitions_call(
    keys: Keys, chunk_id: str, steps: Sequence[Move], made: bytes = b""
) -> tuple[list[str], list[str]]:
    """Return the names and the values that transitions.lua takes for the moves of one chunk."""
    number = run_of(chunk_id)
    names = [keys.chunk(chunk_id), keys.run(number), keys.reasons(number), keys.open(lane_of(chunk_id))]
    names += [keys.awaiting, keys.retries, keys.looks, keys.finished]
    moves = _compact([step.wire() for step in steps])
    return names, [chunk_id, number, str(TAKE_UP_MS), moves, str(CANARY_SPECS), made.decode()]


def _standing(stored: bytes, states: bytes, tries: bytes, made: bytes) -> Standing:
    rows = unpack(stored)
    if len(rows) != len(states):
        raise DamagedChunkError(f"it holds {len(rows)} rows and {len(states)} states")
    spent = [letter - ord("0") for letter in tries.ljust(len(rows), b"0")]
    return Standing(rows, states.decode(errors="replace"), spent, made)


def _by_chunk(places: Iterable[str]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for place in map(Place.parse, places):
        grouped[place.chunk_id].append(place.position)
    return grouped


def _storable(text: str) -> str:
    """Return the text without the lone surrogates that JSON can smuggle in: they have no UTF-8."""
    return text.encode(errors="replace").decode()


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
