"""Says in words what the fleet is bound by: limit, workers, paused, platform, or nothing to do (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from couponpress.language import gettext, joined, ngettext
from couponpress.ledger.outage import PlatformDown
from couponpress.ledger.presence import Present
from couponpress.ledger.progress import Hold
from couponpress.overview.send_rate import shown_rate
from couponpress.plurals import counted
from couponpress.stored_sentences import in_words

#: What a worker says of itself while it cannot work at all; see `couponpress health`.
_CANNOT_WORK: Final = frozenset({"Redis away", "Redis full", "stuck", "stopping"})

BoundKind = Literal["limit", "workers", "paused", "platform", "nothing to do"]
#: What tells the sentences of one kind apart, for whoever translates them.
BoundCase = Literal[
    "no specs",
    "chosen paused",
    "all accepted",
    "partner held",
    "all held",
    "no worker",
    "no worker works",
    "too few workers",
    "down",
    "retries only",
    "quiet",
    "found",
    "by hand",
    "configured",
]


@dataclass(frozen=True, slots=True)
class Bound:
    """What keeps the fleet from being done, or from being faster.

    Attributes:
        kind: one of the five answers.
        case: which of the kind's sentences it is.
        sentence: the same for people, with what to do about it where something can be done.
    """

    kind: BoundKind
    case: BoundCase
    sentence: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the answer follows from.

    Attributes:
        waiting: specs that may be sent now, unless something holds them.
        delayed: specs that wait for their next try, or are asked about first.
        paused: specs that somebody chose by a filter and paused.
        accepted: specs whose pictures the platform draws.
        chunks: chunks with specs that wait.
        held_chunks: how many of these a hold keeps back.
        holds: every hold.
        workers: the workers that run.
        platform_down: what is known of an outage.
        sent_per_second: how many requests leave at this moment.
        fills_limit: whether that is about as many as the limit in force allows.
        effective_per_second: how many could, by the limit in force; None while nobody has told it.
        why_rate: where the limit in force comes from: `configured`, `by hand` or `throttled`.
        quiet_seconds: for how long nothing is sent because the platform asked for it.
    """

    waiting: int
    delayed: int
    paused: int
    accepted: int
    chunks: int
    held_chunks: int
    holds: Sequence[Hold]
    workers: Sequence[Present]
    platform_down: PlatformDown | None
    sent_per_second: float
    fills_limit: bool
    effective_per_second: float | None
    why_rate: str
    quiet_seconds: float


def bound_by(facts: Facts) -> Bound:
    """Return what the fleet is bound by; of several causes the one that must go first."""
    return _idle(facts) or _paused(facts) or _workers(facts) or _platform(facts) or _limit(facts) or _slow(facts)


def _idle(facts: Facts) -> Bound | None:
    if facts.waiting or facts.delayed:
        return None
    if facts.paused:
        told = ngettext(
            "%(specs)s is paused; `couponpress resume --state paused` lets it go on",
            "%(specs)s are paused; `couponpress resume --state paused` lets them go on",
            facts.paused,
        ) % {"specs": counted(facts.paused, "spec")}
        return Bound("paused", "chosen paused", told)
    if facts.accepted:
        told = gettext("everything is sent; the platform draws %(accepted)s") % {
            "accepted": counted(facts.accepted, "spec")
        }
        return Bound("nothing to do", "all accepted", told)
    return Bound("nothing to do", "no specs", gettext("no spec is open"))


def _paused(facts: Facts) -> Bound | None:
    for hold in facts.holds:
        if hold.kind == "partner":
            return Bound(
                "paused",
                "partner held",
                gettext("everything is held: %(reason)s. Cure: %(cure)s")
                % {
                    "reason": in_words(hold.reason),
                    "cure": in_words(hold.cure),
                },
            )
    if facts.holds and facts.waiting and facts.held_chunks and facts.held_chunks >= facts.chunks:
        held = joined(in_words(hold.shown) for hold in facts.holds[:3])
        told = gettext("all that waits is held (%(held)s); `couponpress status` says why and how to go on") % {
            "held": held
        }
        return Bound("paused", "all held", told)
    return None


def _workers(facts: Facts) -> Bound | None:
    open_specs = facts.waiting + facts.delayed
    if not facts.workers:
        told = ngettext(
            "%(specs)s waits and no worker runs: start one with `couponpress worker`",
            "%(specs)s wait and no worker runs: start one with `couponpress worker`",
            open_specs,
        ) % {"specs": counted(open_specs, "spec")}
        return Bound("workers", "no worker", told)
    states = {one.state for one in facts.workers}
    if states <= _CANNOT_WORK:
        return Bound(
            "workers",
            "no worker works",
            gettext("no worker can go on: %(states)s") % {"states": joined(map(in_words, sorted(states)))},
        )
    return None


def _platform(facts: Facts) -> Bound | None:
    if facts.platform_down is not None:
        reason = in_words(facts.platform_down.reason)
        return Bound(
            "platform",
            "down",
            gettext("the platform seems to be down (%(reason)s); only probes are sent") % {"reason": reason},
        )
    if not facts.waiting:
        told = gettext("all that is left, %(delayed)s, waits for its next try after errors of the platform") % {
            "delayed": counted(facts.delayed, "spec")
        }
        return Bound("platform", "retries only", told)
    return None


def _limit(facts: Facts) -> Bound | None:
    if facts.quiet_seconds:
        told = gettext("the platform said that this is too fast; nothing is sent for %(seconds)s s") % {
            "seconds": f"{facts.quiet_seconds:.0f}"
        }
        return Bound("limit", "quiet", told)
    allowed = facts.effective_per_second
    if allowed is None or not facts.fills_limit:
        return None
    rates = {"sent": shown_rate(facts.sent_per_second), "allowed": shown_rate(allowed)}
    if facts.why_rate == "throttled":
        told = gettext("%(sent)s requests a second leave of %(allowed)s that the platform was found to take")
        return Bound("limit", "found", told % rates)
    if facts.why_rate == "by hand":
        told = gettext(
            "%(sent)s requests a second leave of %(allowed)s that the limit set by hand allows; `couponpress limit "
            "default` ends it"
        )
        return Bound("limit", "by hand", told % rates)
    told = gettext("%(sent)s requests a second leave of %(allowed)s that the configured limit allows")
    return Bound("limit", "configured", told % rates)


def _slow(facts: Facts) -> Bound:
    effective = facts.effective_per_second
    sent = shown_rate(facts.sent_per_second)
    if effective is None:
        told = gettext("%(sent)s requests a second leave") % {"sent": sent}
    else:
        told = gettext("%(sent)s requests a second leave of %(allowed)s that the limit allows")
        told %= {"sent": sent, "allowed": shown_rate(effective)}
    cure = gettext("workers that just began need some seconds, else start another one")
    return Bound("workers", "too few workers", joined((told, cure), "; "))
