"""Tells when the rest of a run will be sent, as a range with its reason (pure).

The earliest moment is that of a run which has the whole rate for itself from now on. The latest is that of a run which
waits for everything else that waits in its lane and in the urgent one, at the rate at which the fleet sends now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from couponpress.language import gettext
from couponpress.outcome import RunStatus
from couponpress.overview.bound import Bound
from couponpress.overview.send_rate import shown_rate
from couponpress.plurals import counted
from couponpress.stored_sentences import in_words

#: A fleet seldom keeps its rate to the last spec: slots are given up, retries wait for their moment.
_SLACK: Final = 1.1

EtaCase = Literal["uploading", "held", "paused", "bound", "no rate", "alone", "shared"]


@dataclass(frozen=True, slots=True)
class Eta:
    """When the last spec of a run is sent; its pictures follow.

    Attributes:
        soonest_seconds: from now on, at the earliest; None when nothing can be said.
        latest_seconds: at the latest, if nothing changes; None as above.
        case: which reason it is, for whoever translates it.
        reason: why it is so, for people.
    """

    soonest_seconds: float | None
    latest_seconds: float | None
    case: EtaCase
    reason: str


def eta_of(
    status: RunStatus, *, others: int, bound: Bound, effective_per_second: float | None, sent_per_second: float
) -> Eta | None:
    """Return when the rest of a run is sent; None when everything was.

    Args:
        status: the run.
        others: specs of other runs that may go before it.
        bound: what the fleet is bound by.
        effective_per_second: what the limit in force allows; None while nobody has told it.
        sent_per_second: how many requests leave at this moment.
    """
    left = status.waiting + status.retrying + status.looking
    if status.uploading:
        return Eta(
            None,
            None,
            "uploading",
            gettext("%(specs)s stored; the upload is not finished") % {"specs": counted(status.uploading, "spec")},
        )
    if not left:
        told = gettext("%(specs)s paused by a filter") % {"specs": counted(status.paused, "spec")}
        return Eta(None, None, "paused", told) if status.paused else None
    if status.hold:
        return Eta(None, None, "held", gettext("held: %(reason)s") % {"reason": in_words(status.hold)})
    if bound.kind in {"paused", "platform"} or bound.case in {"no worker", "no worker works"}:
        return Eta(None, None, "bound", bound.sentence)
    if not effective_per_second:
        return Eta(None, None, "no rate", gettext("no worker has told its limit yet"))
    slow = sent_per_second if bound.case == "too few workers" and sent_per_second else effective_per_second
    return _range(left, others, effective_per_second, min(slow, effective_per_second))


def _range(left: int, others: int, fast: float, slow: float) -> Eta:
    soonest, latest = left / fast, (left + others) / slow * _SLACK
    if others:
        reason = gettext("%(left)s at %(rate)s a second, among %(others)s of other runs") % {
            "left": counted(left, "spec"),
            "rate": shown_rate(slow),
            "others": f"{others:,}",
        }
        return Eta(soonest, latest, "shared", reason)
    return Eta(
        soonest,
        latest,
        "alone",
        gettext("%(left)s at %(rate)s a second") % {"left": counted(left, "spec"), "rate": shown_rate(slow)},
    )
