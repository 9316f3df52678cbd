"""The parts of pages that bring themselves up to date: what each shows, and its template.

A part holds no form, so the same text serves everybody of the same language, role and brands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from couponpress.errors import UnknownRunError
from couponpress.gateway.console.now import eta_shown, now_values
from couponpress.gateway.console.viewer import Viewer
from couponpress.gateway.console.wiring import Console
from couponpress.language import gettext
from couponpress.outcome import RunStatus, State
from couponpress.overview.snapshot import Reason

#: Runs on the page of runs before a person asks for more.
RUNS_SHOWN = 50
MOST_RUNS = 1000
RUNS_ON_NOW = 10
#: Reasons of a run of which the latest spec is read.
MOST_SAMPLES = 20
RUN_PATTERN = "[bu][0-9a-f]{1,15}"
PHASES = tuple(State)


@dataclass(frozen=True, slots=True)
class ReasonShown:
    """Why specs of a run ended badly, what the latest such spec was told, and whether sending them again helps."""

    reason: Reason
    helps: str
    sample: str


def part_of(console: Console, viewer: Viewer, name: str) -> tuple[str, dict[str, Any]]:
    """Return the template of a part and what it shows.

    Raises:
        UnknownRunError: there is no such part, or the viewer may not see it.
    """
    if name == "now" and viewer.sees_all:
        return "_now.html", now_values(console.overview.get())
    if name == "fleet" and viewer.sees_all:
        return "_fleet.html", {"seen": console.overview.get()} | runs_values(console, viewer, RUNS_ON_NOW)
    if name == "runs":
        return "_runs.html", runs_values(console, viewer, RUNS_SHOWN)
    if found := re.fullmatch(f"runs/({RUN_PATTERN})", name):
        return "_run.html", run_values(console, viewer, found[1])
    raise UnknownRunError(name)


def runs_values(console: Console, viewer: Viewer, most: int) -> dict[str, Any]:
    """Return the youngest runs that the viewer may see; from the overview where it has enough of them."""
    if viewer.sees_all and most <= RUNS_SHOWN:
        seen = console.overview.get()
        runs = [(one.number, one.status) for one in seen.runs if one.status.run]
        return {"runs": runs[:most], "more": seen.runs_kept > most}
    numbers = console.reading.run_numbers()[::-1]
    every = ((number, console.reading.status(number)) for number in numbers)
    shown = ((number, run) for number, run in every if run.run and console.visibility.sees_whole(viewer.token, run.run))
    runs = list(islice(shown, most + 1))
    return {"runs": runs[:most], "more": len(runs) > most}


def run_values(console: Console, viewer: Viewer, number: str) -> dict[str, Any]:
    """Return one run, and why specs of it ended badly."""
    run = the_run(console, viewer, number)
    seen = next((one for one in console.overview.get().runs if one.number == number), None)
    reasons = seen.reasons if seen is not None else _reasons(console, number)
    samples = console.specs.messages([one.latest for one in reasons[:MOST_SAMPLES] if one.latest])
    return {
        "run": run,
        "run_number": number,
        "phases": PHASES,
        "reasons": [_shown(one, samples.get(one.latest, "")) for one in reasons],
        "eta": eta_shown(seen.eta if seen is not None else None),
    }


def _reasons(console: Console, number: str) -> list[Reason]:
    """Return why specs of a run ended badly that is too old for the overview."""
    counts = ((text.partition(" "), count) for text, count in console.reading.reasons(number).items())
    return [Reason(outcome, code, count, None, None) for (outcome, _, code), count in counts]


def the_run(console: Console, viewer: Viewer, number: str) -> RunStatus:
    """Return a run that may be shown as a whole: every brand of it must be the viewer's.

    Raises:
        UnknownRunError: there is none, or it is not to be seen.
    """
    status = console.reading.status(number)
    if not status.run or not (viewer.sees_all or console.visibility.sees_whole(viewer.token, status.run)):
        raise UnknownRunError(number)
    return status


def _shown(reason: Reason, sample: str) -> ReasonShown:
    helps = {
        "expired": gettext("yes, once the cause is gone"),
        "failed": gettext("only if the platform had a fault"),
        "rejected": gettext("only after the row is mended"),
        "cancelled": gettext("yes, by submitting the catalog again"),
    }
    return ReasonShown(reason, helps.get(reason.outcome, ""), sample)
