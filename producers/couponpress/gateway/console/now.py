"""The first page: how fast the fleet sends, what bounds it, and who is at work, in the viewer's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from couponpress.gateway.console.rendering import moment, number, size, span
from couponpress.language import gettext, ngettext
from couponpress.ledger.rate import per_second
from couponpress.overview.bound import Bound
from couponpress.overview.eta import Eta
from couponpress.overview.snapshot import Limit, Overview

#: Seconds, requests in each, the limit in force, the configured limit: columns of the chart.
Columns: TypeAlias = tuple[list[int], list[int], list[float | None], list[float | None]]
#: So many of the latest seconds are sent to a page that draws the rest already.
LATEST_SECONDS = 5


@dataclass(frozen=True, slots=True)
class BoundShown:
    """What the fleet is bound by, in words, and whether a person should do something."""

    heading: str
    detail: str
    alarms: bool


def now_values(seen: Overview) -> dict[str, Any]:
    """Return what the part `now` shows."""
    return {
        "seen": seen,
        "bound": bound_shown(seen.bound),
        "learned": learned(seen.submit),
        "redis_detail": _redis_detail(seen),
        "held": any(hold.kind == "partner" for hold in seen.holds),
    }


def bound_shown(bound: Bound) -> BoundShown:
    """Return what the fleet is bound by in the viewer's language; the sentence itself where no detail is known."""
    headings = {
        "limit": gettext("Bound by the limit."),
        "workers": gettext("Bound by the workers."),
        "paused": gettext("Paused."),
        "platform": gettext("Bound by the platform."),
        "nothing to do": gettext("Nothing to do."),
    }
    details = {
        "no specs": gettext("No spec is open."),
        "chosen paused": gettext("All that is left was chosen by a filter and paused; resume it on the run's page."),
        "all accepted": gettext("Everything is sent; the platform draws the pictures."),
        "partner held": gettext("Everything is held; see below why, and release it when the cause is gone."),
        "all held": gettext("All that waits is held by runs or brands; see Holds."),
        "no worker": gettext("Specs wait and no worker runs: start one with %(command)s")
        % {"command": "couponpress worker"},
        "no worker works": gettext("No worker can go on; see their states below."),
        "too few workers": gettext(
            "Less is sent than the limit allows; workers that just began need some seconds, else start another one."
        ),
        "down": gettext(
            "The platform seems to be down; only probes are sent, and all goes on by itself when it answers."
        ),
        "retries only": gettext("All that is left waits for its next try after errors of the platform."),
        "quiet": gettext("The platform said that this is too fast; nothing is sent for some seconds."),
        "found": gettext("The platform was found to take no more than this."),
        "by hand": gettext("The limit was set by hand."),
        "configured": gettext("The fleet sends as fast as the configured limit allows."),
    }
    alarms = bound.kind in ("workers", "paused", "platform") or bound.case == "quiet"
    return BoundShown(headings[bound.kind], details.get(bound.case, bound.sentence), alarms)


def learned(limit: Limit) -> str:
    """Return what refusals of the platform taught, in words."""
    if limit.rate.found is None:
        if limit.refused_at is None:
            return gettext("nothing was learned from it: the limit in force is the configured one")
        return gettext("refused last at %(moment)s; the limit has climbed back since") % {
            "moment": moment(limit.refused_at)
        }
    words = gettext("at %(moment)s the platform took no more than %(found)s a second") % {
        "moment": moment(limit.rate.found_since),
        "found": number(limit.rate.found),
    }
    return words + "; " + gettext("more is tried from %(moment)s on") % {"moment": moment(limit.more_at)}


def eta_shown(eta: Eta | None) -> str:
    """Return when the rest of a run is sent, as a range with its reason; empty when everything was."""
    if eta is None:
        return ""
    if eta.soonest_seconds is None or eta.latest_seconds is None:
        return {
            "uploading": gettext("The upload is not finished."),
            "held": gettext("It is held; no time can be told."),
            "paused": gettext("All that is left of it is paused; no time can be told."),
            "bound": gettext("Nothing is sent now; no time can be told. See Now."),
            "no rate": gettext("No worker has told its limit yet."),
        }.get(eta.case, eta.reason)
    soonest, latest = span(eta.soonest_seconds), span(eta.latest_seconds)
    words = (
        gettext("Sent in about %(span)s") % {"span": soonest}
        if soonest == latest
        else gettext("Sent in %(soonest)s to %(latest)s") % {"soonest": soonest, "latest": latest}
    )
    reason = gettext("other runs wait beside it") if eta.case == "shared" else gettext("it has the limit for itself")
    return gettext("%(told)s (%(reason)s).") % {"told": words, "reason": reason}


def _redis_detail(seen: Overview) -> str:
    told = [f"{seen.redis.kind} {seen.redis.version}"]
    if seen.redis.memory_max:
        told.append(gettext("of %(size)s") % {"size": size(seen.redis.memory_max)})
    told.append(gettext("keeps every write") if seen.redis.appends else gettext("may forget the last writes"))
    if seen.redis.policy:
        told.append(gettext("when full: %(policy)s") % {"policy": seen.redis.policy})
    if seen.redis.troubles:
        count = len(seen.redis.troubles)
        told.append(ngettext("%(num)s thing is wrong", "%(num)s things are wrong", count) % {"num": count})
    return " · ".join(told)


def columns(seen: Overview, seconds: int) -> Columns:
    """Return the last so many seconds for the chart; a limit is drawn since it is in force."""
    counts = list(seen.sending.per_second[-seconds:])
    first = seen.sending.first_second + len(seen.sending.per_second) - len(counts)
    moments = list(range(first, first + len(counts)))
    rate = seen.submit.rate
    since = max(rate.by_hand_since, rate.found_since)
    in_force = per_second(rate.in_force) if rate.in_force else None
    configured = per_second(rate.configured) if rate.configured else None
    return moments, counts, [in_force if at >= since else None for at in moments], [configured] * len(moments)
