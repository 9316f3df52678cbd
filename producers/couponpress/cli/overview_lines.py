"""An overview as a screen of a terminal: what the fleet does, what it is bound by, lanes, processes, runs (pure)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from couponpress.cli.run_lines import eta_text
from couponpress.language import gettext, gettext_noop, joined
from couponpress.overview.bound import BoundKind
from couponpress.overview.send_rate import shown_rate
from couponpress.overview.snapshot import Limit, Overview, RunOverview
from couponpress.plurals import counted, span
from couponpress.stored_sentences import in_words
from couponpress.time_zone import told_zone

#: How much of each list is shown.
MOST_RUNS: Final = 12
MOST_PROCESSES: Final = 12
MOST_HOLDS: Final = 5

_BARS: Final = "▁▂▃▄▅▆▇█"
#: Letters of the drawn rate: ten seconds each.
_BAR_SECONDS: Final = 10
#: For how long a refusal is shown.
_REFUSAL_SHOWN_SECONDS: Final = 600
#: What a fleet is bound by, in a word or two.
_KINDS: Final[Mapping[BoundKind, str]] = {
    "limit": gettext_noop("limit"),
    "nothing to do": gettext_noop("nothing to do"),
    "workers": gettext_noop("workers"),
    "paused": gettext_noop("paused"),
    "platform": gettext_noop("platform"),
}
_COLOURS: Final[Mapping[BoundKind, str]] = {
    "limit": "green",
    "nothing to do": "green",
    "workers": "red",
    "paused": "yellow",
    "platform": "red",
}


def screen(overview: Overview) -> Group:
    """Return the whole screen."""
    colour = _COLOURS[overview.bound.kind]
    bound = gettext("%(kind)s: %(sentence)s") % {
        "kind": gettext(_KINDS[overview.bound.kind]),
        "sentence": overview.bound.sentence,
    }
    parts: list[RenderableType] = [
        Text(bound, style=f"bold {colour}"),
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
    rate = submit.rate.by_hand or submit.rate.configured or gettext("a limit that no worker has told")
    effective = submit.effective_per_second
    now = shown_rate(sending.now)
    if effective is not None:
        now = gettext("%(now)s of %(allowed)s") % {"now": now, "allowed": shown_rate(effective)}
    yield told_zone()
    yield gettext("%(now)s requests a second; limit %(limit)s; the most in any 1 s of ten minutes: %(most)s") % {
        "now": now,
        "limit": gettext("%(rate)s by hand") % {"rate": rate} if submit.rate.by_hand else rate,
        "most": sending.most,
    }
    if sending.total:
        yield drawn(sending.per_second)
    for name, limit in ((gettext("submits"), submit), (gettext("queries"), overview.query)):
        yield from _learned(name, limit, overview.at)


def _learned(name: str, limit: Limit, now: float) -> Iterator[str]:
    if limit.refused_at is None or (limit.more_at is None and now - limit.refused_at >= _REFUSAL_SHOWN_SECONDS):
        return
    told = gettext("%(name)s: the platform refused %(requests)s %(span)s ago") % {
        "name": name,
        "requests": counted(limit.refused, "request"),
        "span": span(max(round(now - limit.refused_at), 0)),
    }
    if limit.more_at is None:
        yield told
        return
    later = limit.more_at > now
    yield gettext("%(told)s at %(before)s a second and takes %(found)s; a little more is tried %(more)s") % {
        "told": told,
        "before": limit.before_per_second or "?",
        "found": limit.rate.found,
        "more": gettext("in %(span)s") % {"span": span(round(limit.more_at - now))} if later else gettext("now"),
    }


def drawn(per_second: Sequence[int]) -> str:
    """Return the rate as a line of bars, ten seconds each, the highest as high as a line.

    >>> drawn([0] * 10 + [4] * 10 + [8] * 10)
    '▁▄█'
    """
    means = [sum(per_second[at : at + _BAR_SECONDS]) for at in range(0, len(per_second), _BAR_SECONDS)]
    most = max(means, default=0) or 1
    return "".join(_BARS[round(mean / most * (len(_BARS) - 1))] for mean in means)


def _lanes(overview: Overview) -> Table:
    table = _table(
        (gettext("lane"), "left"),
        (gettext("waiting"), "right"),
        (gettext("retrying"), "right"),
        (gettext("looking"), "right"),
        (gettext("paused"), "right"),
        (gettext("accepted"), "right"),
        (gettext("chunks"), "right"),
        (gettext("on hold"), "right"),
        (gettext("oldest waits"), "left"),
        gap=1,  # every heading fits into a terminal of 80 columns
    )
    for lane in overview.lanes:
        counts = lane.counts
        numbers = [counts.waiting, counts.retrying, counts.looking, counts.paused, counts.accepted]
        numbers += [lane.chunks, lane.held_chunks]
        since = lane.oldest_waiting_since
        age = "" if since is None else span(max(round(overview.at - since), 0))
        table.add_row(lane.name, *(f"{number:,}" for number in numbers), age)
    return table


def _state_lines(overview: Overview) -> Iterator[str]:
    redis = overview.redis
    memory = _megabytes(redis.memory_used)
    if redis.memory_max:
        memory = gettext("%(now)s of %(allowed)s") % {"now": memory, "allowed": _megabytes(redis.memory_max)}
    kept = gettext("append-only file") if redis.appends else gettext("no append-only file")
    policy = redis.policy or gettext("policy hidden")
    yield f"{redis.kind} {redis.version}: {joined((memory, policy, kept))}"
    yield from (f"redis: {in_words(trouble)}" for trouble in redis.troubles)
    if (down := overview.platform_down) is not None:
        told = {"moment": _clock(down.since), "reason": in_words(down.reason)}
        yield gettext("platform: down since %(moment)s: %(reason)s") % told
    for hold in overview.holds[:MOST_HOLDS]:
        yield gettext("held: %(scope)s since %(moment)s: %(reason)s\n      cure: %(cure)s") % {
            "scope": in_words(hold.shown),
            "moment": _clock(hold.since),
            "reason": in_words(hold.because),
            "cure": in_words(hold.cure),
        }
    if len(overview.holds) > MOST_HOLDS:
        more = counted(len(overview.holds) - MOST_HOLDS, "more scope")
        yield gettext("held: %(more)s; `couponpress status` names them") % {"more": more}
    if overview.dead_letter_chunks:
        chunks = counted(overview.dead_letter_chunks, "chunk")
        yield gettext("dead letters: %(chunks)s; `couponpress status` says why") % {"chunks": chunks}


def _processes(overview: Overview) -> Table:
    table = _table(
        (gettext("process"), "left"),
        (gettext("machine"), "left"),
        (gettext("pid"), "right"),
        (gettext("does"), "left"),
        (gettext("chunks in hand"), "right"),
    )
    for one in overview.processes[:MOST_PROCESSES]:
        in_hand = str(one.in_hand) if one.role == "worker" else ""
        table.add_row(one.role, one.host, str(one.pid), in_words(one.state), in_hand)
    if len(overview.processes) > MOST_PROCESSES:
        table.add_row(gettext("and %(number)s more") % {"number": len(overview.processes) - MOST_PROCESSES})
    return table


def _runs(overview: Overview) -> Table:
    table = _table(
        (gettext("run"), "left"),
        (gettext("lane"), "left"),
        (gettext("ended"), "right"),
        (gettext("total"), "right"),
        (gettext("waiting"), "right"),
        (gettext("accepted"), "right"),
        (gettext("succeeded"), "right"),
        (gettext("badly"), "right"),
        ("", "left"),
    )
    first = [run for run in overview.runs if not run.status.finished]
    shown = (first + [run for run in overview.runs if run.status.finished])[:MOST_RUNS]
    for run in shown:
        status = run.status
        waiting = status.waiting + status.retrying + status.looking
        numbers = (status.total, waiting, status.accepted, status.succeeded, status.ended_badly)
        share = f"{status.ended * 100 // status.total} %" if status.total else ""
        table.add_row(status.run, status.lane, share, *(f"{number:,}" for number in numbers), _outlook(run))
    if (more := overview.runs_kept - len(shown)) > 0:
        table.add_row(gettext("and %(number)s more") % {"number": f"{more:,}"})
    return table


def _outlook(run: RunOverview) -> str:
    if run.status.finished:
        return gettext("finished")
    return eta_text(run.eta) or gettext("waits for pictures")


def _table(*columns: tuple[str, Literal["left", "right"]], gap: int = 2) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="bold")
    for head, side in columns:
        table.add_column(head, justify=side, overflow="ellipsis", no_wrap=head != "")
    return table


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"
