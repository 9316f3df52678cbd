"""Shows a run's progress until it ends: a bar in a terminal, plain lines in a log or a pipe.

A log gets a line only when something changed, at most one every five seconds. Below the counts stand notes: what the
run waits for, such as a hold or a worker that nobody started, and the cure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from couponpress.cli.run_lines import held_text, progress_line, rare_counts, rate_text, usual_counts
from couponpress.language import gettext
from couponpress.outcome import RunStatus
from couponpress.uploads.progress import LinePace

#: How often the ledger is asked.
ASK_EVERY_SECONDS = 0.5
#: The rate shown is the mean over this span.
RATE_SPAN_SECONDS = 5.0
#: The time left is told by what ended within this span.
END_SPAN_SECONDS = 30.0
#: How often it is asked what a run waits for. What is no longer true is shown for no longer than this.
NOTES_EVERY_SECONDS = 1.0


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


@dataclass(slots=True)
class EndRate:
    """How fast specs get their outcome, over the last half minute, and how long the rest takes at that speed."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def seconds_left(self, status: RunStatus, now: float) -> float | None:
        """Take a new status at `now` (monotonic seconds); returns seconds, or None while nothing ends."""
        self.seen.append((now, status.ended))
        while self.seen[0][0] < now - END_SPAN_SECONDS:
            self.seen.popleft()
        first_at, first = self.seen[0]
        speed = (status.ended - first) / (now - first_at) if now - first_at >= 2 else 0.0
        return (status.total - status.ended) / speed if speed > 0 else None


Notes = Callable[[RunStatus], Sequence[str]]


def watch(
    ask: Callable[[], RunStatus],
    console: Console,
    *,
    limit_per_second: float | None = None,
    notes: Notes | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RunStatus:
    """Show a run until it is finished; returns its last status.

    Args:
        ask: returns the run's status.
        console: where it is shown.
        limit_per_second: the limit to show beside the rate.
        notes: returns what the run waits for, in sentences; asked every few seconds.
        clock: monotonic seconds.
        sleep: waits for so many seconds.
    """
    rate, ended = SubmitRate(), EndRate()
    said: Sequence[str] = ()
    asked_at = float("-inf")
    with _display(console, limit_per_second, clock) as show:
        while True:
            status, now = ask(), clock()
            if notes is not None and now - asked_at >= NOTES_EVERY_SECONDS:
                said, asked_at = notes(status), now
            left = ended.seconds_left(status, now)
            show(Sight(status, rate.update(status, now), left, () if status.finished else tuple(said)))
            if status.finished:
                return status
            sleep(ASK_EVERY_SECONDS)


@dataclass(frozen=True, slots=True)
class Sight:
    """What is shown at one moment.

    Attributes:
        status: the run's counts.
        rate: specs that are submitted per second.
        seconds_left: until the run is finished, as far as its speed tells; None while it tells nothing.
        notes: what the run waits for.
    """

    status: RunStatus
    rate: float
    seconds_left: float | None
    notes: tuple[str, ...]


Show = Callable[[Sight], None]


@contextmanager
def _display(console: Console, limit_per_second: float | None, clock: Callable[[], float]) -> Iterator[Show]:
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda sight: live.update(picture(sight, limit_per_second))
        return
    pace = LinePace(clock, at_once=True)
    last: RunStatus | None = None
    told: set[str] = set()

    def line(sight: Sight) -> None:
        nonlocal last
        for note in sight.notes:
            if note not in told:
                console.print(Text(note), soft_wrap=True)
        told.clear()
        told.update(sight.notes)
        if sight.status.finished or (sight.status != last and pace.due()):
            last = sight.status
            left = f"  {_left(sight.seconds_left)}" if sight.seconds_left and not sight.status.finished else ""
            line = progress_line(sight.status, sight.rate, limit_per_second) + left
            console.print(Text(line), soft_wrap=True)

    yield line


def picture(sight: Sight, limit_per_second: float | None) -> Group:
    """Return the bar, the counts, and what the run waits for."""
    status = sight.status
    share = status.ended / status.total if status.total else 0.0
    bar = Table.grid(padding=(0, 1))
    # As text: a run's name and a platform's reason may hold what would read as markup.
    told: list[RenderableType] = [
        Text(status.run),
        ProgressBar(total=max(status.total, 1), completed=status.ended, width=40),
    ]
    told += [
        Text(f"{share:4.0%}"),
        Text(gettext("%(ended)s/%(total)s ended") % {"ended": f"{status.ended:,}", "total": f"{status.total:,}"}),
    ]
    told += [Text(_left(sight.seconds_left))] if sight.seconds_left and not status.finished else []
    bar.add_row(*told)
    rare = [(name, count) for name, count in rare_counts(status) if count]
    shown = "  ".join(f"{name} {count:,}" for name, count in [*usual_counts(status), *rare])
    lines = [Text(f"{shown}  {rate_text(sight.rate, limit_per_second)}")]
    if status.hold:
        lines.append(Text(held_text(status.hold)))
    return Group(bar, *lines, *map(Text, sight.notes))


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return gettext("about %(hours)s h %(minutes)s min left") % {"hours": hours, "minutes": f"{minutes:02}"}
    return (
        gettext("about %(minutes)s min left") % {"minutes": minutes}
        if minutes
        else gettext("about %(seconds)s s left") % {"seconds": rest}
    )
