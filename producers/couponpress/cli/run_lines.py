"""Runs, rates and dead letters as lines of text for a person (pure)."""

from __future__ import annotations

import time

from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, DeadLetterChunk, DeadLetterMessage
from couponpress.ledger.rate import RateInForce
from couponpress.outcome import RunStatus
from couponpress.overview.eta import Eta
from couponpress.plurals import counted
from couponpress.uploads.forecast import span

#: How many of the dead-letter chunks are named.
_NAMED = 5


def rate_lines(rate: RateInForce) -> list[str]:
    """Return the rate at which the fleet submits, and why, in a few lines."""
    lines = [f"configured: {rate.configured or 'not known, no worker has told it yet'}"]
    if rate.by_hand:
        ends = f" until {_moment(rate.by_hand_until)}" if rate.by_hand_until else ""
        since = _moment(rate.by_hand_since)
        lines.append(f"by hand: {rate.by_hand} since {since}{ends}; `limit default` takes it back")
    if rate.found is not None:
        more = f"in {rate.held_seconds:.0f} s" if rate.held_seconds else "now"
        found = f"the platform took {rate.found} in a second and refused more; a little more is tried {more}"
        lines.append(f"throttled: since {_moment(rate.found_since)}; {found}")
    if rate.quiet_seconds:
        lines.append(f"quiet: nothing is sent for {rate.quiet_seconds:.1f} s")
    climbing = " and climbing" if rate.why == "throttled" and not rate.held_seconds else ""
    lines.append(f"in force: {rate.in_force or 'what each worker was started with'}{climbing}")
    if rate.slots_per_second is not None:
        lines.append(f"latest slots: {rate.slots_per_second:.1f} per second")
    return lines


def counts_line(status: RunStatus) -> str:
    """Return a run's counts in one line."""
    told = [
        f"{status.run}: {status.ended}/{status.total} ended",
        f"waiting {status.waiting}",
        f"retrying {status.retrying + status.looking}",
        f"accepted {status.accepted}",
        f"succeeded {status.succeeded}",
        f"failed {status.failed}",
        f"rejected {status.rejected}",
    ]
    told += [f"{name} {count}" for name, count in rare_counts(status) if count]
    return "  ".join(told) + (f"  HELD: {status.hold}" if status.hold else "")


def progress_line(status: RunStatus, rate: float, limit_per_second: float | None = None) -> str:
    """Return a run's counts and how fast its specs are submitted, in one line."""
    return f"{counts_line(status)}  {rate_text(rate, limit_per_second)}"


def rate_text(rate: float, limit_per_second: float | None) -> str:
    """Return a speed in specs per second, beside its limit where there is one."""
    return f"{rate:.0f}/s" + (f" of {limit_per_second:g}" if limit_per_second else "")


def rare_counts(status: RunStatus) -> list[tuple[str, int]]:
    """Return the counts that are shown only when they are not zero."""
    return [
        ("expired", status.expired),
        ("cancelled", status.cancelled),
        ("throttled", status.throttled),
        ("uploading", status.uploading),
    ]


def dead_letter_lines(
    chunks: list[DeadLetterChunk], messages: int, latest: list[DeadLetterMessage], run: str | None
) -> list[str]:
    """Return the dead letters, of one run or with None of all, in a few lines."""
    shown = [chunk for chunk in chunks if run in {None, chunk.run}]
    lines = []
    for chunk in shown[:_NAMED]:
        lines.append(
            f"dead letter: chunk {chunk.chunk_id} of {chunk.run}, {counted(chunk.specs, 'spec')}: {chunk.reason}"
        )
        lines.append(f"      cure: mend the cause, then `couponpress redrive {chunk.run} --code {DEAD_LETTER_CODE}`")
    if len(shown) > _NAMED:
        lines.append(f"dead letter: {counted(len(shown) - _NAMED, 'more chunk')}")
    if messages and run is None:
        lines.append(f"dead letter: {counted(messages, 'message')}, no hints; nothing of any run is lost with them")
        lines += [f"      {_moment(one.since)} {one.queue}: {one.reason}: {one.text[:80]}" for one in latest[:3]]
    return lines


def summary(status: RunStatus, reasons: dict[str, int]) -> str:
    """Return the few lines that end a run."""
    seconds = (status.finished_at or status.created_at) - status.created_at
    lines = [
        f"run {status.run}: {counted(status.total, 'spec')} ended after {seconds:.1f} s",
        f"  succeeded {status.succeeded}  failed {status.failed}  rejected {status.rejected}",
        f"  expired {status.expired}  cancelled {status.cancelled}  throttled answers {status.throttled}",
    ]
    lines += [f"  {count:>8}  {reason}" for reason, count in list(reasons.items())[:10]]
    return "\n".join(lines)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


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
    return f"sent in {soonest}" if soonest == latest else f"sent in {soonest} to {latest}"
