"""Reads runs, their status, outcomes and reasons, and holds. Reads only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final, Literal, cast

import msgspec
import redis

from couponpress.errors import DamagedChunkError, UnknownRunError
from couponpress.keys import PARTNER_SCOPE, Keys, lane_of, run_scope
from couponpress.ledger.attribution import Actor
from couponpress.ledger.batches import in_order
from couponpress.ledger.chunks import unpack
from couponpress.outcome import LETTERS, OUTCOMES, STATE_OF_LETTER, Outcome, RunStatus, State

#: How many chunks are fetched in one round trip when outcomes are read: some 300 KB.
READ_BATCH = 20
#: Code and message of a cancelled spec; not stored a hundred thousand times.
CANCELLED_WORDS = ("CANCELLED", "taken back by `cancel` before the platform accepted it")
_CANCELLED: Final = LETTERS[State.CANCELLED]
#: The outcomes' words by their letters.
_WORDS: Final = {LETTERS[state]: state.value for state in OUTCOMES}

HoldKind = Literal["partner", "run", "brand"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Submitting is stopped, and why.

    Attributes:
        scope: what is held: `partner`, a run's name, or a brand's id.
        reason: why, in words.
        cure: what a person can do about it.
        since: when it was set, seconds since 1970.
        kind: which of the three the scope is.
        by: who set it; None for one that was set before this was kept.
        why: the reason that this person gave; empty if none.
        until: when it ends by itself, seconds since 1970 on Redis's clock; None: never.
    """

    scope: str
    reason: str
    cure: str
    since: float
    kind: HoldKind = "partner"
    by: Actor | None = None
    why: str = ""
    until: float | None = None

    @classmethod
    def from_json(cls, scope: str, text: bytes | str, kind: HoldKind = "partner") -> Hold:
        """Read a hold as it is stored."""
        stored = json.loads(text)
        by = Actor.read(stored["by"]) if "by" in stored else None
        return cls(
            scope,
            stored["reason"],
            stored["cure"],
            stored["since"],
            kind,
            by,
            stored.get("why", ""),
            stored.get("until"),
        )

    def to_json(self) -> str:
        """Return the hold as it is stored; what it is of stands beside it."""
        stored: dict[str, Any] = {"reason": self.reason, "cure": self.cure, "since": self.since, "why": self.why}
        stored |= {} if self.by is None else {"by": self.by.stored()}
        stored |= {} if self.until is None else {"until": self.until}
        return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))

    @property
    def shown(self) -> str:
        """What is held, for people."""
        return self.scope if self.kind == "partner" else f"{self.kind} {self.scope}"

    @property
    def ends(self) -> str:
        """When it ends by itself, for people, in this machine's time zone; empty if it does not."""
        if self.until is None:
            return ""
        return datetime.fromtimestamp(self.until).astimezone().isoformat(" ", "seconds")

    @property
    def because(self) -> str:
        """Why, and until when, for people; says nothing of who set it."""
        why = f": {self.why}" if self.why else ""
        return f"{self.reason}{why}{f', until {self.ends}' if self.ends else ''}"

    def in_force(self, now: float) -> bool:
        """Whether it still holds at a moment, seconds since 1970 on Redis's clock."""
        return self.until is None or self.until > now


class ReadingLedger:
    """The reading side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def number_of(self, run: str) -> str:
        """Return the number of the run of that name.

        Raises:
            UnknownRunError: there is none.
        """
        # Half a surrogate pair, as a terminal can give it, is in no stored name; so it must find nothing, not fail.
        name = cast(str, run.encode(errors="surrogatepass"))
        number = cast(bytes | None, self._client.hget(self._keys.run_numbers, name)) if run else None
        if number is None:
            raise UnknownRunError(run)
        return number.decode()

    def run_numbers(self) -> list[str]:
        """Return the numbers of all runs, oldest first."""
        return [number.decode() for number in cast(list[bytes], self._client.zrange(self._keys.runs, 0, -1))]

    def knows_brand(self, brand_id: str) -> bool:
        """Whether a spec of any run that is not forgotten yet names a brand, in two round trips."""
        with self._client.pipeline(transaction=False) as pipeline:
            for number in self.run_numbers():
                pipeline.sismember(self._keys.brands(number), brand_id)
            return any(pipeline.execute())

    def status(self, number: str) -> RunStatus:
        """Return the progress of a run, in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(self._keys.run(number))
            pipeline.hmget(self._keys.holds, [PARTNER_SCOPE, run_scope(number)])
            pipeline.time()
            fields, stored, (seconds, _) = cast(
                tuple[dict[bytes, bytes], list[bytes | None], tuple[int, int]], pipeline.execute()
            )
        holds = (Hold.from_json("", text) for text in stored if text)
        hold = next((hold for hold in holds if hold.in_force(seconds)), None)
        return run_status(number, fields, hold=hold.because if hold else None)

    def outcomes(self, number: str) -> Iterator[Outcome]:
        """Yield every spec of a run in the order in which it was enqueued, ended or not, in constant memory."""
        yield from in_order(self._outcomes_by_chunk(number))

    def _outcomes_by_chunk(self, number: str) -> Iterator[tuple[bytes, list[Outcome]]]:
        chunks = int(cast(bytes | None, self._client.hget(self._keys.run(number), "chunks")) or 0)
        for first in range(1, chunks + 1, READ_BATCH):
            with self._client.pipeline(transaction=False) as pipeline:
                for sequence in range(first, min(first + READ_BATCH, chunks + 1)):
                    pipeline.hgetall(self._keys.chunk(f"{number}.{sequence}"))
                for fields in cast(list[dict[bytes, bytes]], pipeline.execute()):
                    yield fields.get(b"at", b""), list(outcomes_of_chunk(fields))

    def reasons(self, number: str) -> dict[str, int]:
        """Return how many specs of a run ended badly, by `outcome code`, the most frequent first."""
        counts = cast(dict[bytes, bytes], self._client.hgetall(self._keys.reasons(number)))
        return {reason.decode(): int(count) for reason, count in sorted(counts.items(), key=lambda item: -int(item[1]))}

    def holds(self) -> list[Hold]:
        """Return every hold in force, the oldest first; the scope of a run's hold is the run's name."""
        found = []
        now = self._client.time()[0]
        for stored_under, text in cast(dict[bytes, bytes], self._client.hgetall(self._keys.holds)).items():
            kind, _, scope = stored_under.decode().partition(":")
            if kind == "run":
                name = cast(bytes | None, self._client.hget(self._keys.run(scope), "name"))
                scope = name.decode() if name else scope
            found.append(Hold.from_json(scope or kind, text, cast(HoldKind, kind)))
        return sorted((hold for hold in found if hold.in_force(now)), key=lambda hold: hold.since)


def run_status(number: str, fields: dict[bytes, bytes], *, hold: str | None) -> RunStatus:
    """Return the progress of a run, from the fields of its record."""

    def count(name: str) -> int:
        return int(fields.get(name.encode(), 0))

    uploading = count("uploading")
    finished_ms = 0 if uploading else count("finished_ms")
    return RunStatus(
        run=fields.get(b"name", b"").decode(),
        lane=lane_of(number),
        **{state.value: count(state.value) for state in STATE_OF_LETTER.values()},
        total=count("total"),
        uploading=uploading,
        throttled=count("throttled"),
        created_at=count("created_ms") / 1000,
        finished_at=finished_ms / 1000 if finished_ms else None,
        hold=hold,
        hook_trouble=_hook_trouble(fields),
    )


def _hook_trouble(fields: dict[bytes, bytes]) -> str | None:
    objection = fields.get(b"hook_objection")
    if objection is None:
        return None
    tries = int(fields.get(b"hook_tries", 0))
    return f"tries in vain: {tries}, the last one: {objection.decode()}"


def outcomes_of_chunk(fields: dict[bytes, bytes]) -> Iterator[Outcome]:
    """Yield every spec of a chunk, from the fields of its record."""
    if not fields:  # discarded with its upload, or forgotten
        return
    states, tries = fields.get(b"s", b"").decode(errors="replace"), fields.get(b"t", b"")
    rows = _rows_of(fields, len(states))
    tries = tries.ljust(len(rows), b"0")
    for position, (row, letter) in enumerate(zip_longest(rows, states)):
        record = fields.get(b"%d" % position)
        told = ("", *CANCELLED_WORDS) if letter == _CANCELLED else ("", "", "")
        image_url, code, message, *ids = _read_record(record) if record else told
        row_id, task_id, brand_id = row or ("", "", "")
        yield Outcome(
            row_id,
            task_id,
            brand_id,
            _WORDS.get(letter, ""),
            image_url,
            code,
            message,
            tries[position] - ord("0"),
            ids[0] if ids else "",
        )


def _read_record(record: bytes) -> list[str]:
    """Return what is stored of one spec that ended: picture's URL, code, message, and Request-ID where there is one."""
    try:
        found: list[str] = msgspec.json.decode(record)
    except msgspec.MsgspecError:  # it is stricter than what wrote the record
        found = json.loads(record)
    return found


def _rows_of(fields: dict[bytes, bytes], specs: int) -> list[tuple[str, str, str]]:
    """Return row id, task id and brand of each row; empty ones of rows that cannot be read, so that none is missing."""
    try:
        rows = [(row.row_id, row.ids()) for row in unpack(fields.get(b"z", b""))]
    except (DamagedChunkError, ValueError, TypeError):
        return [("", "", "")] * specs
    return [(row_id, ids.task_id, ids.brand_id) for row_id, ids in rows]
