"""What a scheduler does every second: starts nights that are due, continues nights left behind, settles finished ones.

Work that takes longer runs in threads, a few at a time and one per schedule. An error in one night is logged, and the
night is tried again later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from couponpress.errors import NightLostError, RedisUnavailableError
from couponpress.language import of_starter, speaking
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.nightly.claims import Claim, NightRecord
from couponpress.nightly.context import NightContext
from couponpress.nightly.nights import Night, due_nights
from couponpress.nightly.schedule_file import Schedule
from couponpress.nightly.settling import settle_night
from couponpress.nightly.starting import start_night

log = logging.getLogger(__name__)

_LEVELS = {"failed": logging.ERROR, "skipped": logging.WARNING}
#: How many nights are read, uploaded or settled at a time.
MOST_AT_ONCE = 4


class Ticker:
    """One scheduler's look after all schedules."""

    def __init__(self, context: NightContext) -> None:
        self._context = context
        #: The nights that threads of this process work on: run -> schedule.
        self._in_hand: dict[str, str] = {}
        self._stopping = False

    def tick(self) -> None:
        """Start, take up and settle whatever there is; returns at once.

        Raises:
            RedisUnavailableError, redis errors of REDIS_AWAY: Redis did not answer; the next look goes on.
        """
        now = self._context.nights.now()
        for record in self._context.nights.open_nights():
            if record.run not in self._in_hand:
                self._take_up(record)
        for schedule in self._context.file.schedules.values():
            self._start_due(schedule, now)

    def close(self) -> None:
        """Give back what is in hand, so that another scheduler need not wait for it; threads end with the process."""
        self._stopping = True
        for run in list(self._in_hand):
            self._context.nights.give_back(run, self._context.owner)

    def _start_due(self, schedule: Schedule, now: float) -> None:
        nights = self._context.nights
        seen = nights.seen(schedule.name)
        due = due_nights(
            schedule.name,
            schedule.cron,
            schedule.time_zone,
            seen=seen,
            now=now,
            grace_seconds=schedule.grace.total_seconds(),
        )
        if due.seen is not None:
            if seen is not None:
                log.warning("schedule %s: the clock went back by %.0f s", schedule.name, seen - now)
            nights.see(schedule.name, due.seen)
        for night in due.missed:
            if nights.claim(night.run, schedule.name, night.moment, self._context.owner, state="missed"):
                log.error("night %s was missed: no scheduler was there within %s of it", night.run, schedule.grace)
        for night in due.starts:
            if not self._is_free(schedule.name):
                return
            if claim := nights.claim(night.run, schedule.name, night.moment, self._context.owner):
                self._work(schedule.name, claim, self._starting(schedule, night, claim))

    def _take_up(self, record: NightRecord) -> None:
        context, schedule = self._context, self._context.file.schedules.get(record.schedule)
        if not self._is_free(record.schedule):
            return
        if record.state == "sent" and (status := context.status(record.run)) is not None and not status.finished:
            return
        claim = context.nights.claim(record.run, record.schedule, record.at, context.owner)
        if claim is None:
            return
        if claim.state == "sent":
            self._work(record.schedule, claim, lambda _: settle_night(context, record))
        elif schedule is None:
            context.nights.become(
                record.run, context.owner, "failed", told=f"{context.file.path} has no such schedule any more"
            )
        else:
            night = Night(schedule.name, datetime.fromtimestamp(record.at, schedule.time_zone))
            log.warning("night %s is taken up: whoever had it in hand is gone", night.run)
            self._work(schedule.name, claim, self._starting(schedule, night, claim))

    def _starting(self, schedule: Schedule, night: Night, claim: Claim) -> Callable[[threading.Event], object]:
        def start(lost: threading.Event) -> None:
            with speaking(of_starter()):  # the rows that people mend
                begun = start_night(self._context, schedule, night, claim, lost)
            log.log(_LEVELS.get(begun.state, logging.INFO), "night %s: %s: %s", night.run, begun.state, begun.told)

        return start

    def _is_free(self, schedule: str) -> bool:
        """Whether a thread may be begun; two nights of one schedule would compare with the same memory."""
        return not self._stopping and len(self._in_hand) < MOST_AT_ONCE and schedule not in self._in_hand.values()

    def _work(self, schedule: str, claim: Claim, act: Callable[[threading.Event], object]) -> None:
        self._in_hand[claim.run] = schedule

        def work() -> None:
            try:
                with self._context.in_hand(claim.run) as lost:
                    act(lost)
            except (RedisUnavailableError, *REDIS_AWAY) as error:
                log.warning("night %s waits for Redis: %s", claim.run, error)
            except NightLostError as error:
                log.warning("%s", error)
            except Exception:
                if not self._stopping:  # else the connections are closed under it
                    log.exception("night %s could not be worked on; it is taken up again", claim.run)
            finally:
                self._in_hand.pop(claim.run, None)

        threading.Thread(target=work, name=f"night {claim.run}", daemon=True).start()
