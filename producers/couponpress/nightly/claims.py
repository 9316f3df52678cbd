"""Records which process has a night of a schedule in hand, and what became of the night.

A night is claimed by the name of its run, so it starts once, however many schedulers ask. The claim is a lease: when
its process dies, another process continues the same night. All times are on Redis's clock, so the clocks of the
machines do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

import redis

from couponpress.keys import Keys
from couponpress.ledger.scripts import script

#: After this time without a renewal the claim of a night expires, and another process continues it.
LEASE_MS: Final = 10_000
#: How long a night is remembered: longer than the time after which a missed one is no longer started.
REMEMBERED_SECONDS: Final = 30 * 86400

#: `claimed`: its rows are read and uploaded. `sent`: its run is submitted. In the other states it is over.
NightState = Literal["claimed", "sent", "done", "skipped", "failed", "missed"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A night that the caller has claimed.

    Attributes:
        run: its run's name.
        state: `claimed` or `sent`; `missed` for one that was just recorded as missed.
        taken: how many processes have claimed it in this state, the caller included.
        full: whether every row is sent.
    """

    run: str
    state: NightState
    taken: int
    full: bool


@dataclass(frozen=True, slots=True)
class NightRecord:
    """The record of a night.

    Attributes:
        run: its run's name.
        schedule: its schedule's name.
        at: when it is, seconds since 1970.
        state: where it is.
        in_hand: whether a process has it in hand; an expired lease counts until another process claims it.
        told: the last note about it, for people.
        figures: the counts of its source, in JSON; empty until the source is read.
    """

    run: str
    schedule: str
    at: int
    state: NightState
    in_hand: bool
    told: str
    figures: str


class NightLedger:
    """The nights of all schedules, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._claim = client.register_script(script("claim_night", "couponpress.nightly"))
        self._keep = client.register_script(script("keep_night", "couponpress.nightly"))
        self._note = client.register_script(script("note_night", "couponpress.nightly"))

    def now(self) -> float:
        """Return the time on Redis's clock, seconds since 1970."""
        seconds, micros = self._client.time()
        return seconds + micros / 1e6

    def seen(self, schedule: str) -> float | None:
        """Return the time up to which a schedule's nights were decided, or None for a new schedule."""
        seen = cast(bytes | None, self._client.hget(self._keys.schedule(schedule), "seen"))
        return float(seen) if seen else None

    def see(self, schedule: str, moment: float) -> None:
        """Set the time up to which a schedule's nights were decided."""
        self._client.hset(self._keys.schedule(schedule), "seen", str(moment))

    def claim(
        self,
        run: str,
        schedule: str,
        at: int,
        owner: str,
        *,
        state: Literal["claimed", "missed", "skipped"] = "claimed",
        by_hand: bool = False,
        full: bool = False,
    ) -> Claim | None:
        """Claim a night, new or left by a dead process. Returns None if it is over or another process has it.

        By hand, a night that was missed, skipped or failed can be started again, and earlier nights stay due. `state`
        and `full` count only for a new night; one that is continued keeps its own.
        """
        keys = self._keys
        names = [keys.night(run), keys.open_nights, keys.schedule(schedule), keys.night_changes]
        values: list[str | int] = [run, owner, LEASE_MS, at, REMEMBERED_SECONDS, schedule, state, int(by_hand)]
        values.append("full" if full else "")
        reply = cast(list[bytes | int] | None, self._claim(names, values))
        if reply is None:
            return None
        told, taken, how = reply
        return Claim(run, cast(NightState, cast(bytes, told).decode()), int(taken), how == b"full")

    def keep(self, run: str, owner: str) -> bool:
        """Renew the lease. Returns False if another process has the night, or it is over."""
        return self._kept(run, owner, LEASE_MS, "", {})

    def give_back(self, run: str, owner: str) -> bool:
        """Release a night, so that another process can continue it."""
        return self._kept(run, owner, 0, "", {})

    def is_skipped(self, run: str) -> bool:
        """Say whether a night is left out."""
        record = self.record(run)
        return record is not None and record.state == "skipped"

    def note(self, run: str, owner: str, **told: str) -> bool:
        """Store a note about a claimed night. Returns False if another process has it, or it is over."""
        return self._kept(run, owner, LEASE_MS, "", told)

    def become(self, run: str, owner: str, state: NightState, **told: str) -> bool:
        """Set the state of a night and release it. Returns False if another process has it, or it is over."""
        kept = self._kept(run, owner, 0, state, told)
        if kept and state == "done":
            schedule = cast(bytes | None, self._client.hget(self._keys.night(run), "schedule"))
            self._client.hset(self._keys.schedule_successes, schedule or b"", str(int(self.now())))
        return kept

    def _kept(self, run: str, owner: str, lease_ms: int, state: str, told: dict[str, str]) -> bool:
        fields = [text for pair in told.items() for text in pair]
        values: list[str | int] = [run, owner, lease_ms, REMEMBERED_SECONDS, state, *fields]
        return bool(self._keep([self._keys.night(run), self._keys.open_nights, self._keys.night_changes], values))

    def open_nights(self) -> list[NightRecord]:
        """Return the nights that have begun and are not over, the oldest first."""
        runs = [run.decode() for run in cast(list[bytes], self._client.zrange(self._keys.open_nights, 0, -1))]
        found = []
        for run in runs:
            if (record := self.record(run)) is None:  # forgotten, after a month
                self._client.zrem(self._keys.open_nights, run)
            else:
                found.append(record)
        return found

    def latest(self, schedule: str) -> NightRecord | None:
        """Return the latest night of a schedule."""
        run = cast(bytes | None, self._client.hget(self._keys.schedule(schedule), "latest"))
        return self.record(run.decode()) if run else None

    def record(self, run: str) -> NightRecord | None:
        """Return the record of a night, or None if there is no night of that name."""
        stored = cast(dict[bytes, bytes], self._client.hgetall(self._keys.night(run)))
        if not stored:
            return None
        fields = {name.decode(): value.decode() for name, value in stored.items()}
        return NightRecord(
            run=run,
            schedule=fields["schedule"],
            at=int(fields["at"]),
            state=cast(NightState, fields["state"]),
            in_hand="owner" in fields,
            told=fields.get("told", ""),
            figures=fields.get("figures", ""),
        )

    def note_in_run(self, number: str, figures: str) -> None:
        """Store in a run what its schedule found, for its hook."""
        self._note([self._keys.run(number)], [figures])
