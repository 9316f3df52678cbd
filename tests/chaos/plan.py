"""What will go wrong, and when: from a seed, before anything is started. Pure.

The same arguments give the same plan. What the machine makes of it (how far a worker is when it is killed, which
request meets which fault) differs from run to run; the audit does not depend on it.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from typing import Any

from couponpress_worker.sandbox.faults import REQUEST_FAULTS

#: Nothing goes wrong before all services are up and the first catalog is in.
QUIET_SECONDS = 6.0
#: A worker is killed after so many seconds, and after so many more again.
KILL_EVERY_SECONDS = (5.0, 40.0)
REDIS_ACTS = ("redis stops", "redis is killed", "redis is paused", "redis loses a second", "redis cuts connections")
PLATFORM_ACTS = ("storm", "throttle", "outage", "broken answers", "hush")
#: Shares, in percent, of what goes wrong all the time.
ALWAYS = {
    "errors": 1.5,
    "html": 0.5,
    "resets_before": 1.0,
    "resets_after": 1.0,
    "silence": 0.3,
    "slow": 1.0,
    "slow_ms": 2000,
    "unsigned_answers": 0.5,
    "probe_answers": 0.5,
    "fail": 2.0,
    "lost_callbacks": 3.0,
    "doubled_callbacks": 5.0,
    "late_callbacks": 5.0,
    "late_seconds": 12.0,
    "probe_callbacks": 2.0,
}
#: The same while nothing is to go wrong any more; a task's end was settled when it was accepted.
NEVER = {name: 0 for name in ALWAYS if not name.startswith(("slow_", "late_sec"))}
LIMIT = 500
_PIECE_ROWS = (200, 1500)
_ROWS_BEFORE_KILL = 250


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that goes wrong.

    Attributes:
        at: when, seconds after the start.
        what: what happens; its names are those of `REDIS_ACTS`, `PLATFORM_ACTS` and `killed`.
        who: to whom.
        seconds: how long it lasts: until it is started again, or until the platform is as before.
        details: for the platform: what its control page is told.
    """

    at: float
    what: str
    who: str
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        changes = {**self.details, **self.details.get("faults", {})}
        told = "".join(f" {name}={value}" for name, value in changes.items() if value and name != "faults")
        return f"{self.at:6.1f} s  {self.who}: {self.what}, {self.seconds:.1f} s{told}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One `submit` command: some rows of a run's catalog.

    Attributes:
        run: the run's name.
        number: its place among the run's pieces.
        first: the row it begins with.
        rows: how many rows it has.
        at: when it is submitted, seconds after the start, unless the run's piece before it takes longer.
        killed_after_rows: when not 0, its first producer is killed once it has read so many rows, in mid-upload.
    """

    run: str
    number: int
    first: int
    rows: int
    at: float
    killed_after_rows: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is settled before the start."""

    seed: int
    duration_seconds: float
    workers: int
    pieces: tuple[Piece, ...]
    acts: tuple[Act, ...]

    @property
    def specs(self) -> int:
        """How many specs are enqueued."""
        return sum(piece.rows for piece in self.pieces)

    def rows_of_run(self) -> dict[str, int]:
        """Return how many rows each run's catalog has."""
        rows: dict[str, int] = {}
        for piece in self.pieces:
            rows[piece.run] = rows.get(piece.run, 0) + piece.rows
        return rows

    def as_json(self) -> str:
        """Return the plan for the record."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


def make(seed: int, duration_seconds: float, *, workers: int, specs: int) -> Plan:
    """Make the plan of a run that takes `duration_seconds` until the last thing goes wrong."""
    chance = random.Random(seed)
    ends = duration_seconds - 2.0
    acts = [
        *_worker_kills(chance, ends, workers),
        *_in_turn(chance, ends, max(2, round(duration_seconds / 38)), REDIS_ACTS, _redis_act),
        *_in_turn(chance, ends, max(2, round(duration_seconds / 40)), PLATFORM_ACTS, _platform_act),
        *_in_turn(chance, ends, max(1, round(duration_seconds / 70)), ("scheduler",), _service_kill),
        *_in_turn(chance, ends, max(1, round(duration_seconds / 70)), ("callback",), _service_kill),
    ]
    pieces = tuple(_pieces(chance, specs, duration_seconds))
    return Plan(seed, duration_seconds, workers, pieces, tuple(sorted(acts, key=lambda act: (act.at, act.who))))


def _worker_kills(chance: random.Random, ends: float, workers: int) -> Iterator[Act]:
    least, most = KILL_EVERY_SECONDS
    at = QUIET_SECONDS + chance.uniform(least, min(most, ends / 3))
    while at < ends:
        yield Act(round(at, 2), "killed", f"worker-{chance.randrange(workers) + 1}", round(chance.uniform(0.2, 3), 2))
        at += chance.uniform(least, most)


def _in_turn(chance: random.Random, ends: float, count: int, kinds: tuple[str, ...], act) -> Iterator[Act]:
    """Spread acts over the time, one in each part of it, each kind once before any comes again."""
    part = (ends - QUIET_SECONDS) / count
    shuffled = chance.sample(kinds, len(kinds))
    for number, kind in enumerate(islice(cycle(shuffled), count)):
        at = QUIET_SECONDS + number * part + chance.uniform(0, part / 3)
        yield act(chance, kind, round(at, 2), part * 0.6)


def _redis_act(chance: random.Random, kind: str, at: float, longest: float) -> Act:
    spans = {
        "redis stops": (0.2, 3),
        "redis is killed": (0.2, 4),
        "redis is paused": (5, 30),
        "redis loses a second": (1, 4),
        "redis cuts connections": (0, 0),
    }
    return Act(at, kind, "redis", round(min(chance.uniform(*spans[kind]), longest), 2))


def _platform_act(chance: random.Random, kind: str, at: float, longest: float) -> Act:
    spans = {"storm": (5, 15), "throttle": (8, 20), "outage": (10, 30), "broken answers": (3, 8), "hush": (2, 5)}
    seconds = round(min(chance.uniform(*spans[kind]), longest), 2)
    details: dict[str, Any] = {
        "storm": {"faults": {"errors": 40, "html": 5, "resets_before": 5, "resets_after": 5}},
        "throttle": {"limit": chance.randrange(40, 120)},
        "outage": {"faults": {**dict.fromkeys(REQUEST_FAULTS, 0), "html": 30, "resets_before": 70}},
        "broken answers": {"faults": {"unsigned_answers": 25, "probe_answers": 25}},
        "hush": {"faults": {"silence": 20, "slow": 40}},
    }[kind]
    return Act(at, kind, "platform", seconds, details)


def _service_kill(chance: random.Random, kind: str, at: float, longest: float) -> Act:
    return Act(at, "killed", kind, round(min(chance.uniform(1, 8), longest), 2))


def _pieces(chance: random.Random, specs: int, duration_seconds: float) -> Iterator[Piece]:
    """Cut catalogs into pieces; several runs are under way at a time, and one piece in eight loses its producer."""
    sizes = []
    while (left := specs - sum(sizes)) > 0:
        size = chance.randint(*_PIECE_ROWS)
        sizes.append(left if left < size + _PIECE_ROWS[0] else size)
    runs = max(2, len(sizes) // 4)
    killed = set(chance.sample(range(len(sizes)), max(1, len(sizes) // 8)))
    first = dict.fromkeys(range(runs), 0)
    numbers = dict.fromkeys(range(runs), 0)
    for index, rows in enumerate(sizes):
        # A run's pieces follow each other; runs overlap.
        run = min(index * runs // len(sizes) + index % 2, runs - 1)
        at = round(index * (duration_seconds * 0.85) / len(sizes), 2)
        yield Piece(
            f"chaos-{run + 1}",
            numbers[run] + 1,
            first[run],
            rows,
            at,
            min(_ROWS_BEFORE_KILL, rows - 1) if index in killed else 0,
        )
        first[run] += rows
        numbers[run] += 1
