"""An overview as a screen of a terminal: what the fleet does, what it is bound by, lanes, processes, runs (pure)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from couponpress.cli.run_lines import eta_text
from couponpress.overview.send_rate import shown_rate
from couponpress.overview.snapshot import Limit, Overview, RunOverview
from couponpress.plurals import counted
from couponpress.uploads.forecast import span

#: How much of each list is shown.
MOST_RUNS: Final = 12
MOST_PROCESSES: Final = 12
MOST_HOLDS: Final = 5

_BARS: Final = "▁▂▃▄▅▆▇█"
#: Letters of the drawn rate: ten seconds each.
_BAR_SECONDS: Final = 10
_COLOURS: Final = {"limit": "green", "nothing to do": "green", "workers": "red", "paused": "yellow", "platform": "red"}


def screen(overview: Overview) -> Group:
    """Return the whole screen."""
    colour = _COLOURS[overview.bound.kind]
    parts: list[RenderableType] = [
        Text(f"{overview.bound.kind}: {overview.bound.sentence}", style=f"bold {colour}"),
        *(Text(line) for line in _rate_lines(overview)),
        _lanes(overview),
        *(Text(line) for line in _state_lines(overview)),
    ]
    if overview.processes:
        parts.append(_processes(overview))
    if overview.runs:
        parts.append(_runs(overview))
    return Group(*parts)


def _rate_lines(overview: Overview) -> Iterator[str]:
    sending, submit = overview.sending, overview.submit
    configured = submit.rate.by_hand or submit.rate.configured or "a limit that no worker has told"
    effective = submit.effective_per_second
    of = "" if effective is None else f" of {shown_rate(effective)}"
    yield (
        f"{shown_rate(sending.now)}{of} requests a second; limit {configured}"
        f"{' by hand' if submit.rate.by_hand else ''}; the most in any 1 s of ten minutes: {sending.most}"
    )
    if sending.total:
        yield drawn(sending.per_second)
    for name, limit in (("submits", submit), ("queries", overview.query)):
        yield from _learned(name, limit, overview.at)


def _learned(name: str, limit: Limit, now: float) -> Iterator[str]:
    if limit.more_at is not None:
        more = f"in {span(round(limit.more_at - now))}" if limit.more_at > now else "now"
        yield (
            f"{name}: the platform refused {counted(limit.refused, 'request')} {_ago(limit.refused_at, now)} at"
            f" {limit.before_per_second or '?'} a second and takes {limit.rate.found}; a little more is tried {more}"
        )
    elif limit.refused_at is not None and now - limit.refused_at < 600:
        yield f"{name}: the platform refused {counted(limit.refused, 'request')} {_ago(limit.refused_at, now)}"


def drawn(per_second: Sequence[int]) -> str:
    """Return the rate as a line of bars, ten seconds each, the highest as high as a line.

    >>> drawn([0] * 10 + [4] * 10 + [8] * 10)
    '▁▄█'
    """
    means = [sum(per_second[at : at + _BAR_SECONDS]) for at in range(0, len(per_second), _BAR_SECONDS)]
    most = max(means, default=0) or 1
    return "".join(_BARS[round(mean / most * (len(_BARS) - 1))] for mean in means)


def _lanes(overview: Overview) -> Table:
    table = _table("lane", "waiting", "retrying", "looking", "accepted", "chunks", "held", "oldest waits")
    for lane in overview.lanes:
        counts = lane.counts
        numbers = (counts.waiting, counts.retrying, counts.looking, counts.accepted, lane.chunks, lane.held_chunks)
        since = lane.oldest_waiting_since
        age = "" if since is None else span(max(round(overview.at - since), 0))
        table.add_row(lane.name, *(f"{number:,}" for number in numbers), age)
    return table


def _state_lines(overview: Overview) -> Iterator[str]:
    redis = overview.redis
    most = f" of {_megabytes(redis.memory_max)}" if redis.memory_max else ""
    kept = "append-only file" if redis.appends else "no append-only file"
    memory = f"{_megabytes(redis.memory_used)}{most}, {redis.policy or 'policy hidden'}"
    yield f"{redis.kind} {redis.version}: {memory}, {kept}"
    yield from (f"redis: {trouble}" for trouble in redis.troubles)
    if (down := overview.platform_down) is not None:
        yield f"platform: down since {_clock(down.since)}: {down.reason}"
    for hold in overview.holds[:MOST_HOLDS]:
        yield f"held: {hold.shown} since {_clock(hold.since)}: {hold.because}"
        yield f"      cure: {hold.cure}"
    if len(overview.holds) > MOST_HOLDS:
        yield f"held: {counted(len(overview.holds) - MOST_HOLDS, 'more scope')}; `couponpress status` names them"
    if overview.dead_letter_chunks:
        yield f"dead letters: {counted(overview.dead_letter_chunks, 'chunk')}; `couponpress status` says why"


def _processes(overview: Overview) -> Table:
    table = _table("process", "machine", "pid", "does", "chunks in hand")
    for one in overview.processes[:MOST_PROCESSES]:
        in_hand = str(one.in_hand) if one.role == "worker" else ""
        table.add_row(one.role, one.host, str(one.pid), one.state, in_hand)
    if len(overview.processes) > MOST_PROCESSES:
        table.add_row(f"and {len(overview.processes) - MOST_PROCESSES} more")
    return table


def _runs(overview: Overview) -> Table:
    table = _table("run", "lane", "ended", "total", "waiting", "accepted", "succeeded", "badly", "")
    first = [run for run in overview.runs if not run.status.finished]
    shown = (first + [run for run in overview.runs if run.status.finished])[:MOST_RUNS]
    for run in shown:
        status = run.status
        waiting = status.waiting + status.retrying + status.looking
        numbers = (status.total, waiting, status.accepted, status.succeeded, status.ended_badly)
        share = f"{status.ended * 100 // status.total} %" if status.total else ""
        table.add_row(status.run, status.lane, share, *(f"{number:,}" for number in numbers), _outlook(run))
    if (more := overview.runs_kept - len(shown)) > 0:
        table.add_row(f"and {more:,} more")
    return table


def _outlook(run: RunOverview) -> str:
    if run.status.finished:
        return "finished"
    return eta_text(run.eta) or "waits for pictures"


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        left = head in {"lane", "process", "machine", "does", "run", "", "oldest waits"}
        table.add_column(head, justify="left" if left else "right", overflow="ellipsis", no_wrap=head != "")
    return table


def _ago(moment: float | None, now: float) -> str:
    return "" if moment is None else f"{span(max(round(now - moment), 0))} ago"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"
