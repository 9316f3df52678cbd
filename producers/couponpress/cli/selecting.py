"""Acts on all specs that match a filter: counted first, confirmed when they are many, done with progress shown."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Annotated

import typer

from couponpress.cli.console import stderr
from couponpress.cli.counters import row_counter
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.ledger.chosen import BulkAct, Chosen
from couponpress.ledger.moments import read_length
from couponpress.ledger.selection import Selection
from couponpress.plurals import counted

#: So many specs are acted on without asking.
UNASKED_SPECS = 10_000
#: How many runs are named in a count.
NAMED_RUNS = 10

StateOption = Annotated[
    list[str] | None, typer.Option(help=gettext_noop("Only specs in this state; repeatable."), show_default=False)
]
OnlyBrandOption = Annotated[
    str | None, typer.Option(help=gettext_noop("Only specs of this brand."), show_default=False)
]
LaneOption = Annotated[
    str | None, typer.Option(help=gettext_noop("Only specs of this lane, urgent or bulk."), show_default=False)
]
OlderOption = Annotated[
    str | None,
    typer.Option(
        help=gettext_noop("Only specs enqueued longer ago, such as 2h."), metavar="LENGTH", show_default=False
    ),
]
CodeOption = Annotated[
    str | None, typer.Option(help=gettext_noop("Only specs whose reason has this code."), show_default=False)
]
YesOption = Annotated[bool, typer.Option("--yes", help=gettext_noop("Do not ask, for scripts."))]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=gettext_noop("Count what matches; change nothing."))]


def filter_of(
    run: str | None,
    brand: str | None,
    states: list[str] | None,
    code: str | None,
    lane: str | None,
    older_than: str | None,
) -> Selection:
    """Return the filter that a person gave.

    Raises:
        InputError: a part of it cannot be read, or it is empty.
    """
    length = None if older_than is None else read_length(older_than)
    return Selection.of(run=run, brand=brand, states=tuple(states or ()), code=code, lane=lane, older_than=length)


def chooses(
    run: str | None,
    brand: str | None,
    states: list[str] | None,
    code: str | None,
    lane: str | None,
    older_than: str | None,
    *,
    dry_run: bool,
) -> bool:
    """Say whether the options choose specs by a filter; a run or a brand alone is a scope, which is held as a whole."""
    narrowed = any(one is not None for one in (code, lane, older_than))
    return narrowed or bool(states) or dry_run or (run is not None and brand is not None)


def act_on_all(
    client: Client,
    act: BulkAct,
    selection: Selection,
    *,
    dry_run: bool,
    yes: bool,
    why: str,
    end: datetime | timedelta | None = None,
) -> None:
    """Count what matches, ask if it is much, then act on exactly that.

    Raises:
        InputError: it is much, and there is nobody to ask.
    """
    with row_counter(stderr()) as on_progress:
        chosen = client.choose(act, selection, on_progress=on_progress)
    for line in count_lines(chosen):
        stderr().print(line)
    if dry_run:
        stderr().print(gettext("dry run: nothing was changed"))
        return
    if not chosen.specs:
        return
    if chosen.specs > UNASKED_SPECS and not yes and not _confirmed(chosen):
        stderr().print(gettext("nothing was changed"))
        return
    with row_counter(stderr()) as on_progress:
        done = client.act_on(chosen, until=end, why=why, on_progress=on_progress)
    told = {
        "pause": gettext("paused"),
        "resume": gettext("resumed"),
        "cancel": gettext("cancelled"),
        "redrive": gettext("to be sent again"),
    }
    stderr().print(
        gettext("%(done)s %(told)s; what has moved on since it was counted was left alone")
        % {"done": counted(done, "spec"), "told": told[act]}
    )


def count_lines(chosen: Chosen) -> list[str]:
    """Return how much matches, and in which runs."""
    lines = [
        gettext("%(specs)s of %(runs)s match %(selection)s")
        % {
            "specs": counted(chosen.specs, "spec"),
            "runs": counted(len(chosen.runs), "run"),
            "selection": chosen.selection,
        }
    ]
    lines += [f"  {count:>8}  {run}" for run, count in chosen.runs.most_common(NAMED_RUNS)]
    more = len(chosen.runs) - NAMED_RUNS
    return lines + ([gettext("  and %(more)s more") % {"more": counted(more, "run")}] if more > 0 else [])


def _confirmed(chosen: Chosen) -> bool:
    """Ask for the run's name, or for the number of specs when they are of several runs."""
    word = next(iter(chosen.runs)) if len(chosen.runs) == 1 else str(chosen.specs)
    if not sys.stdin.isatty():
        raise InputError(
            gettext("that would change %(specs)s; give --yes if that is meant.")
            % {"specs": counted(chosen.specs, "spec")}
        )
    typed: str = typer.prompt(
        gettext("Type %(word)s to go on") % {"word": word}, default="", show_default=False, err=True
    )
    return typed == word
