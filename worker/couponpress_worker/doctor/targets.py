"""Checks whom the fleet tells of what happens: the tables, their URLs and their secrets; nothing is sent."""

from __future__ import annotations

from couponpress.errors import CouponpressError
from couponpress.language import gettext
from couponpress.notify.target_file import fleet_targets
from couponpress.settings import environment_variable
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.settings import Settings


def check_targets(settings: Settings) -> Finding | None:
    """Return who is told, or what is wrong about it; None where nobody is to be told."""
    try:
        targets = fleet_targets(settings.notify_file, settings.schedule_file, environment_variable)
    except CouponpressError as error:
        cure = gettext("correct the table; docs/notify.md says what it holds")
        return Finding("notify", good=False, seen=str(error), cure=cure)
    if not targets:
        return None
    told = "; ".join(f"{one.name} ({one.kind.name}, {one.shown}): {', '.join(one.events)}" for one in targets)
    seen = gettext("%(targets)s; `couponpress notify test` sends each a message") % {"targets": told}
    return Finding("notify", good=True, seen=seen)
