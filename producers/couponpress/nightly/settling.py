"""Ends a night: remembers the rows that succeeded, forgets those that ended badly, and writes a summary.

A night is over when its run is finished. Settling may be interrupted and repeated. A scheduler does it, or the start of
the schedule's next night.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime

from couponpress.nightly.claims import NightRecord
from couponpress.nightly.context import NightContext
from couponpress.nightly.nights import Night, deadline_of
from couponpress.nightly.schedule_file import Schedule
from couponpress.outcome import RunStatus
from couponpress.plurals import counted

log = logging.getLogger(__name__)


def settle_night(context: NightContext, record: NightRecord) -> bool:
    """Settle a night in hand if its run is finished; False when it is not.

    Raises:
        RedisUnavailableError, redis errors of REDIS_AWAY: Redis did not answer; the night is settled later.
    """
    status = context.status(record.run)
    if status is not None and not status.finished:
        context.nights.give_back(record.run, context.owner)
        return False
    if status is None:
        told = "its run was forgotten before anybody looked at its end"
    else:
        context.remember(record)
        schedule = context.file.schedules.get(record.schedule)
        told = summary(record, status, deadline=_deadline_of(record, schedule))
    if context.nights.become(record.run, context.owner, "done", told=told):
        log.info("night %s is over: %s", record.run, told)
    return True


def summary(record: NightRecord, status: RunStatus, *, deadline: datetime | None) -> str:
    """Return a finished night in one line."""
    told = []
    if record.figures:
        found = json.loads(record.figures)
        told.append(f"{counted(found['rows'], 'row')}, {found['unchanged']:,} unchanged")
        told += [f"{found[name]:,} {name.replace('_', ' ')}" for name in ("under_way", "broken") if found[name]]
    told.append(f"{status.total:,} sent, {status.succeeded:,} succeeded")
    ended_badly = ("failed", "rejected", "expired", "cancelled")
    told += [f"{count:,} {name}" for name in ended_badly if (count := getattr(status, name))]
    finished_at = status.finished_at or status.created_at
    told.append(f"{finished_at - status.created_at:,.0f} s")
    if deadline is not None:
        kept = "met" if finished_at <= deadline.timestamp() else "missed"
        told.append(f"deadline {deadline:%H:%M} {kept}")
    return ", ".join(told)


def _deadline_of(record: NightRecord, schedule: Schedule | None) -> datetime | None:
    if schedule is None:
        return None
    night = Night(record.schedule, datetime.fromtimestamp(record.at, schedule.time_zone))
    return deadline_of(night, schedule.deadline)
