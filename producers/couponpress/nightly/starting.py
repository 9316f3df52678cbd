"""Starts one night: reads the source, leaves out unchanged rows, plans, decides and enqueues.

The order makes it safe to kill the process anywhere: another process completes the same run. The upload is stored
whole or not at all, the plan is known once the last row is staged, and only then is anything released or taken back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from threading import Event
from typing import cast

from couponpress.errors import CouponpressError, MerchantPictureFoundError, NightLostError, RedisUnavailableError
from couponpress.language import Language, current, speaking
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.nightly.claims import Claim, NightState
from couponpress.nightly.context import NightContext
from couponpress.nightly.diff import Diff
from couponpress.nightly.merchant_pictures import settle_as_known, upload_of_night
from couponpress.nightly.nights import Night, deadline_of
from couponpress.nightly.plan import Counts, Decision, Plan, decide
from couponpress.nightly.schedule_file import Schedule
from couponpress.nightly.source import Rows, rows_of
from couponpress.serialized_spec import SerializedSpec
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.picture_upload import Shown

log = logging.getLogger(__name__)

#: A night that so many processes had in hand, and none completed, is given up: it may be what ends them.
MOST_TAKEN = 5

NO_ROWS = Counts()


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of a night's start.

    Attributes:
        state: `sent`; `done` when there was nothing to send; else why there is no run.
        told: the plan and what was decided, or what went wrong.
        counts: its rows.
        report: what a person should know about the source.
    """

    state: NightState
    told: str
    counts: Counts = NO_ROWS
    report: str = ""


class _SkippedError(Exception):
    """Ends an upload of which nothing is to be sent."""


def planned(context: NightContext, schedule: Schedule, night: Night, *, full: bool) -> Begun:
    """Read a night's source and say what would be done; nothing is claimed, enqueued or taken back."""
    context.remember_earlier(schedule.name, night.run)

    def read(start: _Start) -> Begun:
        for _ in start.changed():
            pass
        with speaking("en"):  # as it would be stored
            decision = start.decision()
        return Begun("done" if decision.send else "skipped", decision.sentence, start.counts, start.report)

    start = _Start(context, schedule, night, rows_of(schedule, context.folder), full=full)
    return _with_pictures(start, read, partial(settle_as_known, schedule, context.picture_url))


def start_night(
    context: NightContext, schedule: Schedule, night: Night, claim: Claim, lost: Event, shown: Shown | None = None
) -> Begun:
    """Do what a claimed night asks for, and note what came of it; `shown` shows how far its pictures are uploaded.

    Raises:
        NightLostError: another process has it now.
        RedisUnavailableError, redis errors of REDIS_AWAY: Redis did not answer; the night is taken up again.
    """
    reader = current()
    with speaking("en"):  # what comes of a night is stored
        begun = _begun(context, schedule, night, claim, lost, shown, reader)
    if not context.nights.become(night.run, context.owner, begun.state, told=begun.told):
        raise NightLostError(night.run)
    return begun


def _begun(
    context: NightContext,
    schedule: Schedule,
    night: Night,
    claim: Claim,
    lost: Event,
    shown: Shown | None,
    reader: Language,
) -> Begun:
    if claim.taken > MOST_TAKEN:
        return Begun("failed", f"{MOST_TAKEN} processes had it in hand, and none completed it")
    try:
        status = context.status(night.run)
        if status is not None and status.total:  # its upload was whole when a part of it was released
            context.client.enqueue_many((), run=night.run, lane=schedule.lane, hook=schedule.hook)
            return Begun("sent", "the upload that another process had completed is released")
        if status is not None:  # the source may be another one by now, so what is staged of it goes
            context.take_out(night.run)
        context.remember_earlier(schedule.name, night.run)
        start = _Start(context, schedule, night, rows_of(schedule, context.folder), full=claim.full, reader=reader)
        settle = partial(upload_of_night, schedule, night.run, lost, shown)
        return _with_pictures(start, lambda one: one.upload(lost), settle)
    except (NightLostError, RedisUnavailableError, *REDIS_AWAY):
        raise
    except CouponpressError as error:
        return Begun("failed", str(error))
    except Exception as error:  # a callable of the schedule's may raise anything
        log.debug("night %s failed", night.run, exc_info=True)
        return Begun("failed", f"its source failed: {type(error).__name__}: {error}")


def _with_pictures(start: _Start, act: Callable[[_Start], Begun], settle: Callable[[CatalogUpload], None]) -> Begun:
    """Act on a reading; where that comes upon a picture that is not at the platform, settle all and read anew."""
    try:
        return act(start)
    except MerchantPictureFoundError:
        settle(cast(CatalogUpload, start.rows))  # a callable's rows raise no such thing
    return act(start.anew())


class _Start:
    """One reading of a night's source."""

    def __init__(
        self,
        context: NightContext,
        schedule: Schedule,
        night: Night,
        rows: Rows,
        *,
        full: bool,
        reader: Language | None = None,
    ) -> None:
        self._context, self._schedule, self._night = context, schedule, night
        self._reader = reader or current()
        self.rows = rows
        self._earlier = context.earlier(schedule.name, night.run)
        now = context.nights.now()
        self._now = datetime.fromtimestamp(now, schedule.time_zone)
        compares = schedule.diff and not full
        self._full = not compares
        self._diff = Diff(
            (lambda digests: context.row_fingerprints.remembered(schedule.name, digests, now)) if compares else None,
            context.under_way(self._earlier) if compares else {},
            may_replace="replace" in {schedule.on_overlap, schedule.on_late},
        )
        self._told = ""

    def anew(self) -> _Start:
        """Return another reading of the same source."""
        return _Start(self._context, self._schedule, self._night, self.rows, full=self._full, reader=self._reader)

    @property
    def report(self) -> str:
        """What a person should know about the source, in the language of whoever started the night."""
        with speaking(self._reader):
            return self.rows.report()

    @property
    def counts(self) -> Counts:
        """What was found so far."""
        return self._diff.counts(self.rows.broken)

    def changed(self) -> Generator[SerializedSpec, None, None]:
        """Yield the rows that are new or changed."""
        with closing(self.rows.specs()) as specs:
            yield from self._diff.changed(_told_in(self._reader, specs))

    def decision(self) -> Decision:
        """Return what is to be done, once every row was read."""
        schedule = self._schedule
        return decide(self._plan(), self._earlier, on_overlap=schedule.on_overlap, on_late=schedule.on_late)

    def upload(self, lost: Event) -> Begun:
        """Enqueue what changed, all or none."""
        run, schedule = self._night.run, self._schedule
        try:
            with closing(self._decided(lost)) as specs:
                receipt = self._context.client.enqueue_many(specs, run=run, lane=schedule.lane, hook=schedule.hook)
        except _SkippedError as skipped:
            return Begun("skipped", str(skipped), self.counts, self.report)
        state: NightState = "sent" if receipt.new + receipt.known else "done"
        return Begun(state, self._told, self.counts, self.report)

    def _decided(self, lost: Event) -> Generator[SerializedSpec, None, None]:
        """Yield what is to be sent; the decision falls behind the last row, when all are staged and none is released.

        Raises:
            _SkippedError: nothing is to be sent.
        """
        with closing(self.changed()) as changed:
            for one in changed:
                if lost.is_set():
                    raise NightLostError(self._night.run)
                yield one
        decision = self.decision()
        self._told = decision.sentence
        if not decision.send:
            raise _SkippedError(decision.sentence)
        if decision.replace:
            for run in self._earlier:
                self._context.client.cancel(run)
            yield from self._diff.taken_back(self._context.under_way(self._earlier))
        self._note()

    def _note(self) -> None:
        """Note the figures where the summary and the hook find them; before anything is released."""
        night, context = self._night, self._context
        told = {"name": night.schedule, "at": night.at.isoformat(), **asdict(self.counts), "full": self._full}
        figures = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        context.nights.note(night.run, context.owner, figures=figures)
        context.nights.note_in_run(context.runs.number_of(night.run), figures)

    def _plan(self) -> Plan:
        runs = (one for one in self._context.client.runs() if one.run != self._night.run)
        first = (one for one in runs if self._schedule.lane == "bulk" or one.lane == "urgent")
        return Plan(
            self.counts,
            before=sum(one.waiting + one.retrying for one in first),
            rate=self._context.client.rate().effective_per_second,
            now=self._now,
            deadline=deadline_of(self._night, self._schedule.deadline),
        )


def _told_in(language: Language, specs: Iterator[SerializedSpec]) -> Iterator[SerializedSpec]:
    """Yield the rows; while one is read, messages are in the language of the person who reads the broken rows."""
    while True:
        with speaking(language):
            one = next(specs, None)
        if one is None:
            return
        yield one
