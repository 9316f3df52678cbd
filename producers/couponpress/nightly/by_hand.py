"""What a person does with a schedule: start it now, or leave its next night out. Both are noted in the audit log."""

from __future__ import annotations

from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import gettext
from couponpress.nightly.context import NightContext
from couponpress.nightly.nights import Night, moments, this_minute
from couponpress.nightly.schedule_file import Schedule
from couponpress.nightly.starting import Begun, start_night
from couponpress.uploads.picture_upload import Shown


def start_now(
    context: NightContext,
    schedule: Schedule,
    client: Client,
    *,
    full: bool = False,
    why: str = "",
    shown: Shown | None = None,
) -> tuple[Night, Begun]:
    """Start a schedule now, from this machine's files. Within the same minute it is the same night, and starts once.

    Args:
        context: the place to work on nights.
        schedule: what is started.
        client: acts as the person who does it.
        full: whether every row is sent, changed or not.
        why: the reason, for the audit log.
        shown: shows how far pictures are uploaded.

    Raises:
        InputError: that night was started already.
    """
    night = this_minute(schedule.name, schedule.time_zone, context.nights.now())
    claim = context.nights.claim(night.run, schedule.name, night.moment, context.owner, by_hand=True, full=full)
    if claim is None:
        raise InputError(
            gettext(
                "night %(run)s was started already; `couponpress status %(run)s` shows its run. A minute later it "
                "would be another night."
            )
            % {"run": night.run}
        )
    client.note("schedule-start", run=night.run, why=why)
    try:
        with context.in_hand(night.run) as lost:
            return night, start_night(context, schedule, night, claim, lost, shown)
    except KeyboardInterrupt:
        context.nights.become(night.run, context.owner, "failed", told="interrupted by hand")
        raise


def skip_next(context: NightContext, schedule: Schedule, client: Client, *, why: str = "") -> Night:
    """Leave out the next night of a schedule; `client` acts as the person who does it.

    Raises:
        InputError: it has begun.
    """
    night = Night(schedule.name, next(moments(schedule.cron, schedule.time_zone, context.nights.now())))
    client.note("schedule-skip", run=night.run, why=why)
    if not context.nights.claim(night.run, schedule.name, night.moment, context.owner, state="skipped", by_hand=True):
        raise InputError(
            gettext("night %(run)s has begun; `couponpress cancel %(run)s` takes it back.") % {"run": night.run}
        )
    return night
