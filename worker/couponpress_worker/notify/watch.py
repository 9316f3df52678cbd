"""Looks once a second at runs, holds, nights and processes, and puts what happened into the outbox.

One process of the fleet looks at a time. What it saw is stored after the outbox has what happened, so that a process
that ends in between leaves the same to be found again, under the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.progress import Hold, run_status
from couponpress.notify.target import Target
from couponpress_worker.notify.changes import Seen, hold_changes, process_changes
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.outbox import Outbox
from couponpress_worker.timings import REAL, Timings

#: How many reasons are told of a run.
MOST_REASONS: Final = 5
#: A night that started so much later than it was due is late.
LATE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class DueNight:
    """A night that was due some minutes ago and that nobody has started."""

    run: str
    schedule: str
    at: int


#: Returns the nights that are overdue at a moment, seconds since 1970; who has no schedules knows of none.
Overdue = Callable[[float], Awaitable[Sequence[DueNight]]]


async def none_overdue(_: float) -> Sequence[DueNight]:
    """Return no night: for a process that has no schedule file."""
    return ()


class Watch:
    """Finds what happened; one per process, busy only while the process leads."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        outbox: Outbox,
        targets: Sequence[Target],
        overdue: Overdue = none_overdue,
        timings: Timings = REAL,
    ) -> None:
        """Take a client that answers in bytes, what to put occurrences into, whom to tell, and the overdue nights."""
        self._client = client
        self._keys = keys
        self._outbox = outbox
        self._targets = targets
        self._overdue = overdue
        self._timings = timings
        self._brands = sorted({brand for one in targets for brand in one.brands})

    async def turn(self) -> None:
        """Look once; to be called about once a second."""
        keys, client = self._keys, self._client
        stored = cast(bytes | None, await client.get(keys.notify_seen))
        seconds, micros = await client.time()
        now = seconds + micros / 1e6
        seen = Seen.read(stored) if stored else Seen.begin(now)
        pipeline = client.pipeline(transaction=False)
        pipeline.zrangebyscore(keys.finished, seen.runs.since, "+inf", withscores=True)
        pipeline.zrangebyscore(keys.night_changes, seen.nights.since, "+inf", withscores=True)
        pipeline.hgetall(keys.holds)
        pipeline.hgetall(keys.present)
        pipeline.zrange(keys.left, 0, -1)
        runs, nights, holds, present, left = await pipeline.execute()
        finished, read_runs = seen.runs.news(_members(runs), now * 1000)
        changed, read_nights = seen.nights.news(_members(nights), now * 1000)
        told = {scope.decode(): Hold.from_json(scope.decode(), text) for scope, text in holds.items()}
        in_force = {scope: hold for scope, hold in told.items() if hold.in_force(now)}
        begun, lifted = hold_changes(seen.holds, in_force)
        gone = [one.decode() for one in left]
        happened, processes, lost = process_changes(seen, now, _heard(present), gone, self._timings)
        kept = {scope: one for scope, one in seen.holds.items() if scope in in_force}
        for scope in begun:
            kept[scope] = await self._hold(scope, in_force[scope])
            happened.append(_of_hold("hold.begun", scope, in_force[scope].since, kept[scope]))
        happened += [_of_hold("hold.lifted", scope, now, before) for scope, before in lifted]
        happened += [one for number, at in finished if (one := await self._run(number, at)) is not None]
        happened += [one for run, at in changed if (one := await self._night(run, at)) is not None]
        happened += [_late(one.run, one.schedule, one.at, None, now) for one in await self._overdue(now)]
        for occurrence in happened:
            await self._outbox.put(occurrence, self._targets)
        seen = replace(seen, looked=now, runs=read_runs, nights=read_nights)
        seen = replace(seen, holds=kept, processes=processes, lost=lost)
        await client.set(keys.notify_seen, seen.stored())

    async def _run(self, number: str, finished_ms: float) -> Occurrence | None:
        """Return that a run is finished; None when it is not any more, or is uploaded to."""
        fields = await self._hash(self._keys.run(number))
        status = run_status(number, fields, hold=None)
        if not fields or status.finished_at is None:
            return None
        counted = await self._hash(self._keys.reasons(number))
        reasons = sorted(((key.decode(), int(count)) for key, count in counted.items()), key=lambda one: -one[1])
        about: dict[str, Any] = {
            "run": status.run,
            "number": number,
            "lane": status.lane,
            "total": status.total,
            **{name: getattr(status, name) for name in ("succeeded", "failed", "rejected", "expired", "cancelled")},
            "seconds": status.finished_at - status.created_at,
            "reasons": [[*_reason(text), count] for text, count in reasons[:MOST_REASONS]],
        }
        concerned = await self._concerned(number)
        return Occurrence(
            f"run.finished:{number}:{finished_ms:.0f}",
            "run.finished",
            status.finished_at,
            about,
            brands=concerned,
            schedule=_schedule(fields),
        )

    async def _hold(self, scope: str, hold: Hold) -> dict[str, Any]:
        """Return what is told of a hold, also once it is lifted."""
        kind, _, named = scope.partition(":")
        brands: tuple[str, ...] | None = (named,) if kind == "brand" else None
        schedule, number, name = None, "", named or kind
        if kind == "run":
            fields = await self._hash(self._keys.run(named))
            number, name = named, fields.get(b"name", named.encode()).decode()
            brands, schedule = await self._concerned(named), _schedule(fields)
        return {
            "kind": kind,
            "scope": name,
            "number": number,
            "reason": hold.reason,
            "why": hold.why,
            "cure": hold.cure,
            "by": "" if hold.by is None or hold.by.door == "fleet" else hold.by.shown,
            "until": hold.until,
            "since": hold.since,
            "brands": brands,
            "schedule": schedule,
        }

    async def _night(self, run: str, changed_ms: float) -> Occurrence | None:
        """Return what a change of a night is to people; None for one of which nobody is told."""
        fields = {name.decode(): text.decode() for name, text in (await self._hash(self._keys.night(run))).items()}
        if not fields:
            return None
        state, at, started = fields["state"], int(fields["at"]), fields.get("started")
        if state in {"missed", "failed", "skipped"}:
            about = _night_about(run, fields["schedule"], at, fields.get("told", ""), None)
            occurred = f"night.{state}"
            return Occurrence(
                f"{occurred}:{run}:{changed_ms:.0f}", occurred, changed_ms / 1000, about, schedule=fields["schedule"]
            )
        if started is not None and float(started) - at >= LATE_SECONDS:
            return _late(run, fields["schedule"], at, float(started), changed_ms / 1000)
        return None

    async def _concerned(self, number: str) -> tuple[str, ...]:
        """Return which of the brands that targets ask for a run has."""
        if not self._brands:
            return ()
        found = self._client.smismember(self._keys.brands(number), self._brands)
        known = await cast(Awaitable[list[int]], found)
        return tuple(brand for brand, has in zip(self._brands, known, strict=True) if has)

    async def _hash(self, name: str) -> dict[bytes, bytes]:
        return await cast(Awaitable[dict[bytes, bytes]], self._client.hgetall(name))


def _members(found: Sequence[tuple[bytes, float]]) -> list[tuple[str, float]]:
    return [(name.decode(), at) for name, at in found]


def _heard(present: Mapping[bytes, bytes]) -> dict[str, tuple[float, dict[str, Any]]]:
    heard = {}
    for owner, value in present.items():
        moment, _, said = value.partition(b" ")
        heard[owner.decode()] = (float(moment), json.loads(said))
    return heard


def _reason(text: str) -> tuple[str, str]:
    outcome, _, code = text.partition(" ")
    return outcome, code


def _schedule(fields: Mapping[bytes, bytes]) -> str:
    """Return the schedule of a run, empty for a run of none."""
    return str(json.loads(fields[b"night"])["name"]) if fields.get(b"night") else ""


def _of_hold(event: str, scope: str, at: float, told: Mapping[str, Any]) -> Occurrence:
    about = {name: value for name, value in told.items() if name not in {"brands", "schedule"}}
    brands = None if told["brands"] is None else tuple(told["brands"])
    return Occurrence(f"{event}:{scope}:{told['since']}", event, at, about, brands=brands, schedule=told["schedule"])


def _late(run: str, schedule: str, at: int, started: float | None, now: float) -> Occurrence:
    return Occurrence(
        f"night.late:{run}", "night.late", now, _night_about(run, schedule, at, "", started), schedule=schedule
    )


def _night_about(run: str, schedule: str, at: int, told: str, started: float | None) -> dict[str, Any]:
    return {"run": run, "schedule": schedule, "at": at, "told": told, "started": started}
