"""Shows a run's progress until it ends: a live line for a terminal, plain lines for a log.

Decides what a person sees and how often. Refuses to change anything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from couponpress.ledger.dead_letters import SET_ASIDE_CODE, SetAsideChunk, SetAsideMessage
from couponpress.ledger.rate import RateInForce
from couponpress.outcome import RunStatus

#: How often the ledger is asked.
ASK_EVERY_SECONDS = 0.5
#: How often a plain line is written where there is no terminal.
LINE_EVERY_SECONDS = 5.0
#: How many of the chunks that were set aside are named.
_NAMED = 5
#: The rate shown is the mean over this span.
RATE_SPAN_SECONDS = 5.0


@dataclass(slots=True)
class SubmitRate:
    """How fast specs leave the waiting state, over the last seconds."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, status: RunStatus, now: float) -> float:
        """Take a new status at `now` (monotonic seconds); returns specs per second."""
        submitted = status.total - status.waiting
        self.seen.append((now, submitted))
        while self.seen[0][0] < now - RATE_SPAN_SECONDS:
            self.seen.popleft()
        first_at, first = self.seen[0]
        # Retries that are released wait again; that is no negative speed.
        return max(submitted - first, 0) / (now - first_at) if now > first_at else 0.0


def rate_lines(rate: RateInForce) -> list[str]:
    """Return the rate at which the fleet submits, and why, in a few lines."""
    lines = [f"configured: {rate.configured or 'not known, no worker has told it yet'}"]
    if rate.by_hand:
        lines.append(f"by hand: {rate.by_hand} since {_moment(rate.by_hand_since)}; `limit default` takes it back")
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
    told += [f"{name} {count}" for name, count in _rare(status) if count]
    return "  ".join(told) + (f"  HELD: {status.hold}" if status.hold else "")


def progress_line(status: RunStatus, rate: float, limit_per_second: float | None = None) -> str:
    """Return a run's counts and how fast its specs are submitted, in one line."""
    return f"{counts_line(status)}  {_rate(rate, limit_per_second)}"


def _rate(rate: float, limit_per_second: float | None) -> str:
    return f"{rate:.0f}/s" + (f" of {limit_per_second:g}" if limit_per_second else "")


def _rare(status: RunStatus) -> list[tuple[str, int]]:
    return [
        ("expired", status.expired),
        ("cancelled", status.cancelled),
        ("throttled", status.throttled),
        ("uploading", status.uploading),
    ]


def set_aside_lines(
    chunks: list[SetAsideChunk], messages: int, latest: list[SetAsideMessage], run: str | None
) -> list[str]:
    """Return what was set aside, of one run or with None of all, in a few lines."""
    shown = [chunk for chunk in chunks if run in {None, chunk.run}]
    lines = []
    for chunk in shown[:_NAMED]:
        lines.append(f"set aside: chunk {chunk.chunk_id} of {chunk.run}, {chunk.specs} specs: {chunk.reason}")
        lines.append(f"      cure: mend the cause, then `couponpress redrive {chunk.run} --code {SET_ASIDE_CODE}`")
    if len(shown) > _NAMED:
        lines.append(f"set aside: {len(shown) - _NAMED} more chunks")
    if messages and run is None:
        lines.append(f"set aside: {messages} messages that were no hints; nothing of any run is lost with them")
        lines += [f"      {_moment(one.since)} {one.queue}: {one.reason}: {one.text[:80]}" for one in latest[:3]]
    return lines


def watch(
    ask: Callable[[], RunStatus],
    console: Console,
    *,
    limit_per_second: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RunStatus:
    """Show a run until it is finished; returns its last status."""
    rate = SubmitRate()
    with _display(console, limit_per_second, clock) as show:
        while True:
            status = ask()
            show(status, rate.update(status, clock()))
            if status.finished:
                return status
            sleep(ASK_EVERY_SECONDS)


Show = Callable[[RunStatus, float], None]


@contextmanager
def _display(console: Console, limit_per_second: float | None, clock: Callable[[], float]) -> Iterator[Show]:
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda status, rate: live.update(_table(status, rate, limit_per_second))
        return
    last_line_at = float("-inf")

    def line(status: RunStatus, rate: float) -> None:
        nonlocal last_line_at
        if status.finished or clock() - last_line_at >= LINE_EVERY_SECONDS:
            last_line_at = clock()
            console.print(Text(progress_line(status, rate, limit_per_second)), soft_wrap=True)

    yield line


def _table(status: RunStatus, rate: float, limit_per_second: float | None) -> Table:
    rare = "".join(f", {name} {count:,}" for name, count in _rare(status) if count)
    held = f"\nHELD: {status.hold}" if status.hold else ""
    shown = Table(
        # As text: a run's name and a platform's reason may hold what would read as markup.
        title=Text(f"{status.run}  {status.ended:,}/{status.total:,}"),
        caption=Text(_rate(rate, limit_per_second) + rare + held),
    )
    counts = {
        "waiting": status.waiting,
        "retrying": status.retrying + status.looking,
        "accepted": status.accepted,
        "succeeded": status.succeeded,
        "failed": status.failed,
        "rejected": status.rejected,
    }
    for name in counts:
        shown.add_column(name, justify="right")
    shown.add_row(*(f"{count:,}" for count in counts.values()))
    return shown


def summary(status: RunStatus, reasons: dict[str, int]) -> str:
    """Return the few lines that end a run."""
    seconds = (status.finished_at or status.created_at) - status.created_at
    lines = [
        f"run {status.run}: {status.total} specs ended after {seconds:.1f} s",
        f"  succeeded {status.succeeded}  failed {status.failed}  rejected {status.rejected}",
        f"  expired {status.expired}  cancelled {status.cancelled}  throttled answers {status.throttled}",
    ]
    lines += [f"  {count:>8}  {reason}" for reason, count in list(reasons.items())[:10]]
    return "\n".join(lines)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
