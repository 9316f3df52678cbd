"""The commands `status` and `watch`: how far runs are, why specs ended badly, and what keeps specs from going on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import typer

from couponpress.cli.connection import client_of_person
from couponpress.cli.console import DONE, ENDED_BADLY, JsonOption, RunArgument, stderr
from couponpress.cli.missing import missing
from couponpress.cli.run_lines import counts_line, dead_letter_lines, eta_text, hold_text, shown_moment, summary
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import argument, gettext, gettext_noop
from couponpress.ledger.dead_letters import DeadLetterChunk
from couponpress.ledger.progress import Hold
from couponpress.outcome import RunStatus
from couponpress.overview.bound import BoundKind
from couponpress.partner_option import PartnerOption
from couponpress.plurals import counted
from couponpress.stored_sentences import in_words

#: What else is told of the time that a run takes, and of what binds the fleet; the rest has lines of its own.
_ETAS_TOLD: Final = frozenset({"uploading", "no rate", "alone", "shared"})
_BOUNDS_TOLD: Final = frozenset(
    {"no worker works", "too few workers", "retries only", "quiet", "found", "by hand", "configured"}
)

_KINDS: Final[Mapping[BoundKind, str]] = {
    "limit": gettext_noop("limit"),
    "workers": gettext_noop("workers"),
    "paused": gettext_noop("paused"),
    "platform": gettext_noop("platform"),
    "nothing to do": gettext_noop("nothing to do"),
}


def status(run: RunArgument = None, as_json: JsonOption = False, _: PartnerOption = None) -> None:
    """Show a run's progress and why specs ended badly; without a name, every run and every hold."""
    with client_of_person() as client:
        if as_json:
            shown = client.runs() if run is None else [client.run(run)]
            holds, dead_letters = client.holds(), client.dead_letter_chunks()
            told = [_as_json(one, holds, dead_letters) for one in shown]
            if run is not None:
                told[0]["reasons"] = client.reasons(run)
            typer.echo(json.dumps(told if run is None else told[0], ensure_ascii=False))
            return
        for line in _status_lines(client, run):
            typer.echo(line)


def _status_lines(client: Client, run: str | None) -> Iterator[str]:
    """Yield what people are told: counts, reasons, when it is sent, and whatever keeps specs from going on."""
    overview = client.overview()
    etas = {one.status.run: one.eta for one in overview.runs}
    # The newest run stands last, where a terminal's eye is.
    shown = [one.status for one in reversed(overview.runs)] if run is None else [client.run(run)]
    if run is None and (more := overview.runs_kept - len(shown)):
        told = gettext("%(runs)s not shown; `couponpress status RUN` shows one, `--json` all of them")
        yield told % {"runs": counted(more, "older run")}
    for one in shown:
        yield counts_line(one)
        if one.hook_trouble:
            yield gettext("  hook: %(hook_trouble)s; it is tried again as long as the run is kept") % {
                "hook_trouble": in_words(one.hook_trouble)
            }
        if run is not None:
            yield from (f"  {count:>8}  {in_words(reason)}" for reason, count in client.reasons(run).items())
        eta = etas.get(one.run)
        if eta is not None and eta.case in _ETAS_TOLD:
            words = {"told": eta_text(eta), "reason": eta.reason}
            yield "  " + (words["told"] if eta.soonest_seconds is None else gettext("%(told)s: %(reason)s") % words)
    for hold in overview.holds:
        yield hold_text(hold)
    if down := overview.platform_down:
        yield gettext("the platform seems to be down since %(since)s (%(reason)s): only probes are sent") % {
            "since": shown_moment(down.since),
            "reason": in_words(down.reason),
        }
    yield from missing(shown, overview.processes, None, client.redis_url_shown)
    chunks = client.dead_letter_chunks() if overview.dead_letter_chunks else []
    messages = client.dead_letter_messages() if overview.dead_letter_messages else (0, [])
    yield from dead_letter_lines(chunks, *messages, run)
    if not shown:
        yield gettext("no run yet; `couponpress submit FILE` makes one")
    elif overview.bound.case in _BOUNDS_TOLD:
        yield gettext("%(bound)s: %(sentence)s") % {
            "bound": gettext(_KINDS[overview.bound.kind]),
            "sentence": overview.bound.sentence,
        }


def watch(run: RunArgument = None, _: PartnerOption = None) -> None:
    """Show a run's progress until every spec has its outcome; without a name, the youngest run's."""
    with Client() as client:
        if run is None:
            runs = client.runs()
            if not runs:
                raise InputError(gettext("there is no run yet; `couponpress submit FILE` makes one."))
            run = runs[-1].run
        ended_badly = watch_run(client, run)
    raise typer.Exit(ENDED_BADLY if ended_badly else DONE)


def watch_run(client: Client, run: str) -> int:
    """Show a run until it is finished, then its summary; returns how many specs ended badly."""
    from couponpress.cli.run_progress import watch as shown  # noqa: PLC0415 - `status` starts sooner without its bars

    try:
        last = shown(lambda: client.run(run), stderr(), notes=partial(_notes, client))
    except KeyboardInterrupt:
        stderr().print(
            gettext("the run goes on; `couponpress watch %(run)s` shows its progress again") % {"run": argument(run)}
        )
        raise
    stderr().print(summary(last, client.reasons(run)))
    return last.ended_badly


def _notes(client: Client, status: RunStatus) -> list[str]:
    """Return what a run waits for, with the cure: holds, services that nobody started, an outage of the platform."""
    holds = [hold for hold in client.holds() if hold.kind != "run" or hold.scope == status.run]
    told = [hold_text(hold) for hold in holds]
    return told + missing([status], client.present(), client.outage(), client.redis_url_shown)


def _as_json(one: RunStatus, holds: list[Hold], dead_letters: list[DeadLetterChunk]) -> dict[str, Any]:
    # A brand is held in every run.
    of_run = [asdict(hold) for hold in holds if hold.kind != "run" or hold.scope == one.run]
    of_this_run = sum(chunk.run == one.run for chunk in dead_letters)
    return {**asdict(one), "finished": one.finished, "holds": of_run, "dead_letter_chunks": of_this_run}
