"""Finds nights that were due some minutes ago and that nobody has started, from the schedule file and the ledger.

A scheduler that does not run reports nothing, so whoever tells people of events looks for it. A process that has no
schedule file, or that lacks the packages that schedules need, finds none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis

from couponpress.errors import CouponpressError
from couponpress.keys import Keys
from couponpress_worker.notify.watch import LATE_SECONDS, DueNight, Overdue

log = logging.getLogger(__name__)


def overdue_nights(path: Path | None, client: Redis, keys: Keys) -> Overdue | None:
    """Return what finds the overdue nights of a schedule file; None where there is none to be read.

    Args:
        path: the schedule file.
        client: answers in bytes.
        keys: the partner's names.
    """
    if path is None or not path.exists():
        return None
    try:
        from couponpress.nightly.nights import due_nights  # noqa: PLC0415 - its packages are of an extra
        from couponpress.nightly.schedule_file import read_schedules  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        log.warning("nobody is told of nights that do not start: that needs the package %s", error.name)
        return None
    try:
        schedules = read_schedules(path).schedules.values()
    except CouponpressError as error:  # the scheduler does not start with it, and says so
        log.warning("nobody is told of nights that do not start: %s", error)
        return None

    async def overdue(now: float) -> Sequence[DueNight]:
        found: list[DueNight] = []
        for one in schedules:
            seen = await client.hget(keys.schedule(one.name), "seen")
            due = due_nights(
                one.name,
                one.cron,
                one.time_zone,
                seen=float(seen) if seen else None,
                now=now - LATE_SECONDS,
                grace_seconds=one.grace.total_seconds(),
            )
            found += [
                DueNight(night.run, one.name, night.moment)
                for night in due.starts
                if not await client.exists(keys.night(night.run))
            ]
        return found

    return overdue
