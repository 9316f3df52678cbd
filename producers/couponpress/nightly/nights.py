"""Decides which nights of a schedule are due, from its cron expression, its time zone and times given as values (pure).

Daylight saving time is handled as Debian's cron handles it. An expression with a fixed hour and minute
starts once: at the end of the hour that is skipped in spring, and in the first of the two equal hours in autumn. An
expression with a star in them follows real time, so it starts in both of those hours. Several schedulers may find the
same night due; the claim in the ledger lets one of them start it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: Missed nights are reported up to this long ago.
TOLD_SECONDS = 7 * 86400


@dataclass(frozen=True, slots=True)
class Night:
    """One start that a schedule asks for.

    Attributes:
        schedule: the schedule's name.
        at: when, in the schedule's time zone, to the minute.
    """

    schedule: str
    at: datetime

    @property
    def run(self) -> str:
        """The name of its run. In autumn's repeated hour the second run has its UTC offset in the name."""
        wall = f"{self.at:%Y-%m-%dT%H:%M}"
        return f"{self.schedule}-{wall}" + (f"{self.at:%z}" if self.at.fold else "")

    @property
    def moment(self) -> int:
        """When, in seconds since 1970."""
        return int(self.at.timestamp())


@dataclass(frozen=True, slots=True)
class Due:
    """The nights of a schedule to start or to report now.

    Attributes:
        starts: the nights to start, the oldest first.
        missed: those that are too old to be started, the oldest first.
        seen: the time to store as the last one that was decided; None leaves it as it is.
    """

    starts: tuple[Night, ...] = ()
    missed: tuple[Night, ...] = ()
    seen: float | None = None


def due_nights(
    schedule: str, cron: str, zone: ZoneInfo, *, seen: float | None, now: float, grace_seconds: float
) -> Due:
    """Return what is due, of a schedule whose nights up to `seen` were decided; moments in seconds since 1970.

    A schedule that was never seen begins now, with no night of the past. So does one whose last moment lies ahead,
    because the clock went back; nights that it had then started are known by their names.
    """
    if seen is None or seen > now:
        return Due(seen=now)
    after = max(seen, now - max(TOLD_SECONDS, grace_seconds))
    found = [Night(schedule, at) for at in takewhile(lambda at: at.timestamp() <= now, moments(cron, zone, after))]
    return Due(
        starts=tuple(night for night in found if night.moment >= now - grace_seconds),
        missed=tuple(night for night in found if night.moment < now - grace_seconds),
    )


def moments(cron: str, zone: ZoneInfo, after: float) -> Iterator[datetime]:
    """Yield the starts of a schedule after a time (seconds since 1970), in its own time zone, without end."""
    latest = after
    for at in CronSim(cron, datetime.fromtimestamp(after, zone)):
        # Two times that spring leaves out become one, and an expression is asked from within autumn's second hour.
        if at.timestamp() > latest:
            latest = at.timestamp()
            yield at


def deadline_of(night: Night, deadline: time | timedelta | None) -> datetime | None:
    """Return when a night must be over: a span after its start, or the next time the clock shows the deadline."""
    if deadline is None:
        return None
    if isinstance(deadline, timedelta):
        return (night.at.astimezone(UTC) + deadline).astimezone(night.at.tzinfo)
    same_day = datetime.combine(night.at.date(), deadline, night.at.tzinfo)
    if same_day.timestamp() > night.at.timestamp():
        return same_day
    return datetime.combine(night.at.date() + timedelta(days=1), deadline, night.at.tzinfo)


def this_minute(schedule: str, zone: ZoneInfo, now: float) -> Night:
    """Return the night of the current minute, for a start by hand."""
    return Night(schedule, datetime.fromtimestamp(now // 60 * 60, zone))
