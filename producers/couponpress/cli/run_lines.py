"""Runs, rates and dead letters as lines of text for a person (pure)."""

from __future__ import annotations

from datetime import UTC, datetime

from couponpress.language import argument, gettext
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, DeadLetterChunk, DeadLetterMessage
from couponpress.ledger.progress import Hold
from couponpress.ledger.rate import RateInForce
from couponpress.outcome import RunStatus
from couponpress.overview.eta import Eta
from couponpress.plurals import counted, span
from couponpress.stored_sentences import in_words

#: How many of the dead-letter chunks are named.
_NAMED = 5


def rate_lines(rate: RateInForce) -> list[str]:
    """Return the rate at which the fleet submits, and why, in a few lines."""
    lines = [
        gettext("configured: %(configured)s")
        % {"configured": rate.configured or gettext("not known, no worker has told it yet")}
    ]
    if rate.by_hand:
        ends = gettext(" until %(moment)s") % {"moment": shown_moment(rate.by_hand_until)} if rate.by_hand_until else ""
        since = shown_moment(rate.by_hand_since)
        lines.append(
            gettext("by hand: %(by_hand)s since %(since)s%(ends)s; `limit default` takes it back")
            % {"by_hand": rate.by_hand, "since": since, "ends": ends}
        )
    if rate.found is not None:
        more = (
            gettext("in %(held_seconds)s s") % {"held_seconds": f"{rate.held_seconds:.0f}"}
            if rate.held_seconds
            else gettext("now")
        )
        found = gettext("the platform took %(found)s in a second and refused more; a little more is tried %(more)s") % {
            "found": rate.found,
            "more": more,
        }
        lines.append(
            gettext("throttled: since %(moment)s; %(found)s")
            % {"moment": shown_moment(rate.found_since), "found": found}
        )
    if rate.quiet_seconds:
        lines.append(
            gettext("quiet: nothing is sent for %(quiet_seconds)s s") % {"quiet_seconds": f"{rate.quiet_seconds:.1f}"}
        )
    climbing = gettext(" and climbing") if rate.why == "throttled" and not rate.held_seconds else ""
    lines.append(
        gettext("in force: %(in_force)s%(climbing)s")
        % {"in_force": rate.in_force or gettext("what each worker was started with"), "climbing": climbing}
    )
    if rate.slots_per_second is not None:
        lines.append(
            gettext("latest slots: %(slots_per_second)s per second")
            % {"slots_per_second": f"{rate.slots_per_second:.1f}"}
        )
    return lines


def counts_line(status: RunStatus) -> str:
    """Return a run's counts in one line."""
    told = [
        gettext("%(run)s: %(ended)s/%(total)s ended")
        % {"run": status.run, "ended": status.ended, "total": status.total}
    ]
    told += [f"{name} {count}" for name, count in usual_counts(status)]
    told += [f"{name} {count}" for name, count in rare_counts(status) if count]
    return "  ".join(told) + ("  " + held_text(status.hold) if status.hold else "")


def progress_line(status: RunStatus, rate: float, limit_per_second: float | None = None) -> str:
    """Return a run's counts and how fast its specs are submitted, in one line."""
    return f"{counts_line(status)}  {rate_text(rate, limit_per_second)}"


def rate_text(rate: float, limit_per_second: float | None) -> str:
    """Return a speed in specs per second, beside its limit where there is one."""
    return f"{rate:.0f}/s" + (
        gettext(" of %(limit_per_second)s") % {"limit_per_second": f"{limit_per_second:g}"} if limit_per_second else ""
    )


def held_text(reason: str) -> str:
    """Return that a run is held, and why."""
    return gettext("HELD: %(reason)s") % {"reason": in_words(reason)}


def hold_text(hold: Hold) -> str:
    """Return what is held, why, how it goes on, and who set it, in two or three lines."""
    told = gettext("held: %(scope)s: %(reason)s\n      cure: %(cure)s") % {
        "scope": in_words(hold.shown),
        "reason": in_words(hold.because),
        "cure": in_words(hold.cure),
    }
    if hold.by is None or hold.by.door == "fleet":
        return told
    by = gettext("      by: %(person)s since %(moment)s") % {
        "person": hold.by.shown,
        "moment": shown_moment(hold.since),
    }
    return f"{told}\n{by}"


def usual_counts(status: RunStatus) -> list[tuple[str, int]]:
    """Return the counts that are always shown."""
    return [
        (gettext("waiting"), status.waiting),
        (gettext("retrying"), status.retrying + status.looking),
        (gettext("accepted"), status.accepted),
        (gettext("succeeded"), status.succeeded),
        (gettext("failed"), status.failed),
        (gettext("rejected"), status.rejected),
    ]


def rare_counts(status: RunStatus) -> list[tuple[str, int]]:
    """Return the counts that are shown only when they are not zero."""
    return [
        (gettext("paused"), status.paused),
        (gettext("expired"), status.expired),
        (gettext("cancelled"), status.cancelled),
        (gettext("throttled"), status.throttled),
        (gettext("uploading"), status.uploading),
    ]


def dead_letter_lines(
    chunks: list[DeadLetterChunk], messages: int, latest: list[DeadLetterMessage], run: str | None
) -> list[str]:
    """Return the dead letters, of one run or with None of all, in a few lines."""
    shown = [chunk for chunk in chunks if run in {None, chunk.run}]
    lines = []
    for chunk in shown[:_NAMED]:
        lines.append(
            gettext("dead letter: chunk %(chunk_id)s of %(run)s, %(specs)s: %(reason)s")
            % {
                "chunk_id": chunk.chunk_id,
                "run": chunk.run,
                "specs": counted(chunk.specs, "spec"),
                "reason": in_words(chunk.reason),
            }
        )
        lines.append(
            gettext("      cure: mend the cause, then `couponpress redrive %(run)s --code %(code)s`")
            % {"run": argument(chunk.run), "code": DEAD_LETTER_CODE}
        )
    if len(shown) > _NAMED:
        lines.append(gettext("dead letter: %(more)s") % {"more": counted(len(shown) - _NAMED, "more chunk")})
    if messages and run is None:
        lines.append(
            gettext("dead letter: %(messages)s, no hints; nothing of any run is lost with them")
            % {"messages": counted(messages, "message")}
        )
        lines += [
            f"      {shown_moment(one.since)} {one.queue}: {in_words(one.reason)}: {one.text[:80]}"
            for one in latest[:3]
        ]
    return lines


def summary(status: RunStatus, reasons: dict[str, int]) -> str:
    """Return the few lines that end a run."""
    seconds = (status.finished_at or status.created_at) - status.created_at
    lines = [
        gettext("run %(run)s: %(total)s ended after %(seconds)s s")
        % {"run": status.run, "total": counted(status.total, "spec"), "seconds": f"{seconds:.1f}"},
        gettext("  succeeded %(succeeded)s  failed %(failed)s  rejected %(rejected)s")
        % {"succeeded": status.succeeded, "failed": status.failed, "rejected": status.rejected},
        gettext("  expired %(expired)s  cancelled %(cancelled)s  throttled answers %(throttled)s")
        % {"expired": status.expired, "cancelled": status.cancelled, "throttled": status.throttled},
    ]
    lines += [f"  {count:>8}  {in_words(reason)}" for reason, count in list(reasons.items())[:10]]
    return "\n".join(lines)


def shown_moment(seconds: float) -> str:
    """Return a moment in this process's time zone, with its offset from UTC."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(" ", "seconds")


def eta_text(eta: Eta | None) -> str:
    """Return when the rest of a run is sent: a range, or why nothing can be said.

    >>> eta_text(None), eta_text(Eta(30.2, 95.0, "shared", "")), eta_text(Eta(None, None, "held", "held: by hand"))
    ('', 'sent in 31 s to 95 s', 'held: by hand')
    """
    if eta is None:
        return ""
    if eta.soonest_seconds is None or eta.latest_seconds is None:
        return eta.reason
    soonest, latest = span(-int(-eta.soonest_seconds // 1)), span(-int(-eta.latest_seconds // 1))
    told = gettext("sent in %(soonest)s") if soonest == latest else gettext("sent in %(soonest)s to %(latest)s")
    return told % {"soonest": soonest, "latest": latest}
