"""Finds what happened since the last look, by comparing what Redis holds with what was seen then (pure).

What was seen is stored, so that another process goes on where one ended. The first look of a fleet begins now: of runs
and nights of the past nobody is told, but of a hold that is in force.

A process is lost when it has not been heard of for some seconds more than it may be silent, and has not said goodbye.
While nobody looked, nobody knows whether a process was heard of, so the wait begins anew after a pause of the looks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from couponpress.ledger.progress import Hold
from couponpress.ledger.stored import from_stored
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.timings import REAL, Timings

#: Changes so close before the last look are compared one by one: Redis may have failed over to another clock.
OVERLAP_MS: Final = 5_000
#: How many changes one look takes up.
MOST_AT_ONCE: Final = 100
#: After a pause of the looks that is longer, nobody knows who was heard of meanwhile.
PAUSE_SECONDS: Final = 5.0
#: A process that is silent is waited for so many more of the times at which it tells of itself.
_MISSED_TIMES: Final = 2
#: A lost process is no longer waited for after so long.
FORGOTTEN_SECONDS: Final = 86400
#: A process that ended before it began to work is not told of: whoever starts it sees why.
STARTING: Final = "starting"


@dataclass(frozen=True, slots=True)
class Feed:
    """How far a list of changes was read: up to which moment (ms), and which of its latest members at which moment."""

    upto: float
    recent: Mapping[str, float] = field(default_factory=dict)

    def news(self, found: Iterable[tuple[str, float]], now_ms: float) -> tuple[list[tuple[str, float]], Feed]:
        """Return what is new of the members since `upto` less the overlap, oldest first, and how far it is read now."""
        members = sorted(found, key=lambda one: one[1])
        new = [one for one in members if self.recent.get(one[0]) != one[1]]
        taken = new[:MOST_AT_ONCE]
        upto = taken[-1][1] if len(new) > len(taken) else now_ms
        left = {name for name, _ in new[MOST_AT_ONCE:]}
        recent = {name: at for name, at in members if at >= upto - OVERLAP_MS and name not in left}
        return taken, Feed(upto, recent)

    @property
    def since(self) -> float:
        """From which moment on members are to be read, ms."""
        return self.upto - OVERLAP_MS


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it was last heard of; moments in seconds."""

    role: str
    host: str
    pid: int
    state: str
    heard: float
    missed_since: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at the last look; moments in seconds since 1970 on Redis's clock.

    Attributes:
        looked: when the look was.
        runs, nights: how far their changes were read.
        holds: by scope, since when each hold is there, and what is told of it.
        processes: those that ran, by the name under which each announces itself.
        lost: those that are gone without a goodbye and whose place nobody has taken yet, the oldest first.
    """

    looked: float
    runs: Feed
    nights: Feed
    holds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    processes: Mapping[str, Process] = field(default_factory=dict)
    lost: Mapping[str, Process] = field(default_factory=dict)

    @classmethod
    def begin(cls, now: float) -> Self:
        """Return what a fleet has seen that never looked."""
        return cls(now, Feed(now * 1000), Feed(now * 1000))

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read what was seen as it is stored."""
        told = json.loads(text)
        for name in ("runs", "nights"):
            told[name] = from_stored(Feed, told[name])
        for name in ("processes", "lost"):
            told[name] = {owner: from_stored(Process, one) for owner, one in told[name].items()}
        return from_stored(cls, told)

    def stored(self) -> str:
        """Return it as it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))


def hold_changes(
    seen: Mapping[str, Mapping[str, Any]], now: Mapping[str, Hold]
) -> tuple[list[str], list[tuple[str, Mapping[str, Any]]]]:
    """Return the scopes whose hold is new since it was seen, and those that were lifted with what was told of them."""
    begun = [scope for scope, hold in now.items() if seen.get(scope, {}).get("since") != hold.since]
    lifted = [(scope, told) for scope, told in seen.items() if scope not in now]
    return begun, lifted


def process_changes(
    seen: Seen,
    now: float,
    heard: Mapping[str, tuple[float, Mapping[str, Any]]],
    left: Iterable[str],
    timings: Timings = REAL,
) -> tuple[list[Occurrence], dict[str, Process], dict[str, Process]]:
    """Compare the processes that ran with those that run.

    Args:
        seen: what was seen before.
        now: the moment on Redis's clock.
        heard: when each process was last heard of, and what it said.
        left: the processes that said goodbye.
        timings: after how long a silent process counts as gone, and how much longer it is missed before it is lost.

    Returns:
        What happened; the processes that run or are missed; those that are lost.
    """
    running = {
        owner: Process(told["role"], told["host"], told["pid"], told.get("state", ""), at)
        for owner, (at, told) in heard.items()
        if now - at <= timings.silent
    }
    counts = Counter(one.role for one in running.values())
    lost = {owner: one for owner, one in seen.lost.items() if now - one.heard <= FORGOTTEN_SECONDS}
    found = []
    for owner, one in running.items():
        if instead := _replaced(owner, one, seen.processes, lost):
            del lost[instead]
            about = _about(one, counts)
            found.append(Occurrence(f"process.back:{instead}:{owner}:{one.heard:.0f}", "process.back", now, about))
    missed, paused = {}, now - seen.looked > PAUSE_SECONDS
    for owner in seen.processes.keys() - running.keys() - set(left):
        one = seen.processes[owner]
        since = now if paused or one.missed_since is None else one.missed_since
        if now - since < _MISSED_TIMES * timings.tell_present:
            missed[owner] = replace(one, missed_since=since)
        elif one.state != STARTING:
            lost[owner] = one
            about = _about(one, counts)
            found.append(Occurrence(f"process.lost:{owner}:{one.heard:.0f}", "process.lost", now, about))
    return found, running | missed, lost


def _replaced(owner: str, one: Process, before: Mapping[str, Process], lost: Mapping[str, Process]) -> str | None:
    """Return the lost process whose place a running one takes: itself, or the oldest of its role when it is new."""
    if one.state == STARTING:
        return None
    if owner in lost:
        return owner
    is_new = owner not in before or before[owner].state == STARTING
    return next((name for name, old in lost.items() if old.role == one.role), None) if is_new else None


def _about(one: Process, counts: Mapping[str, int]) -> dict[str, Any]:
    running = counts.get(one.role, 0)
    return {"role": one.role, "host": one.host, "pid": one.pid, "heard": one.heard, "running": running}
