"""The forms: pause, resume, cancel, redrive, the limit. Each act is a POST that carries the token of its page.

Every act says who did it and why, as the gateway's own routes do; it stands in the audit log.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from couponpress.errors import InputError
from couponpress.gateway.console.context import Looking, RefusedError, TheConsole, TheForm, back_to, require
from couponpress.gateway.console.viewer import Viewer
from couponpress.gateway.console.wiring import Console
from couponpress.language import gettext
from couponpress.ledger.chosen import BulkAct
from couponpress.ledger.moments import read_end
from couponpress.ledger.redrive import RedrivenOutcome
from couponpress.ledger.selection import Selection

router = APIRouter(prefix="/acts")

_OPEN = ("waiting", "retrying", "looking", "paused")
_BAD = ("failed", "rejected", "expired", "cancelled")


def _done(console: Console, form: FormData, told: str) -> Response:
    """Return to the page of the form, which shows what has changed."""
    console.overview.expire()
    return back_to(console, form, told)


def _text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def _scope(viewer: Viewer, form: FormData) -> tuple[str | None, str | None]:
    """Return the run and the brand that a hold is of; with neither everything."""
    kind, scope = _text(form, "kind"), _text(form, "scope")
    if kind == "run" and scope:
        return viewer.name_of(scope), None
    if kind == "brand" and scope:
        return None, scope
    if kind == "partner":
        return None, None
    raise InputError(gettext("Say what is to be held: everything, a run or a brand."))


def end_of_form(form: FormData) -> datetime | timedelta | None:
    """Return for how long, or until when, the form asks."""
    given = _text(form, "for")
    if not given:
        return None
    by_the_clock = ":" in given
    now = datetime.now(UTC).astimezone()
    return read_end(given if by_the_clock else None, None if by_the_clock else given, now)


@router.post("/pause")
def pause(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Hold everything, a run or a brand; waits for no count."""
    require(viewer, "operator", whole=False)
    held = console.control.pause(viewer.caller, *_scope(viewer, form), _text(form, "why"), end_of_form(form))
    return _done(console, form, "paused" if held else "held-before")


@router.post("/resume")
def resume(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Release a hold."""
    require(viewer, "operator", whole=False)
    released = console.control.resume(viewer.caller, *_scope(viewer, form), _text(form, "why"))
    return _done(console, form, "resumed" if released else "not-held")


@router.post("/cancel")
def cancel(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Take back what waits of a run, once its name was typed."""
    require(viewer, "operator", whole=False)
    run = _text(form, "run")
    if not run or _text(form, "confirmed") != run:
        raise RefusedError(
            422,
            gettext("Nothing was cancelled"),
            gettext("The name that was typed is not the run's name."),
            gettext("Go back and type it as it stands in the heading."),
        )
    console.control.cancel(viewer.caller, viewer.name_of(run), _text(form, "why"))
    return _done(console, form, "cancelled")


@router.post("/redrive")
def redrive(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Send specs of a run again that ended badly, by outcome and code."""
    require(viewer, "operator", whole=False)
    outcomes = [one for one in ("expired", "rejected", "failed") if one in form.getlist("outcome")]
    if not outcomes:
        raise InputError(gettext("Choose at least one outcome."))
    run, code, why = viewer.name_of(_text(form, "run")), _text(form, "code") or None, _text(form, "why")
    for outcome in outcomes:
        console.control.redrive(viewer.caller, run, cast(RedrivenOutcome, outcome), code, why)
    return _done(console, form, "redriven")


@router.post("/delete-dead-letters")
def delete_dead_letters(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Delete every dead letter, once their number was typed; what came since is not meant."""
    require(viewer, "operator")
    counted = sum(console.control.delete_dead_letters(viewer.caller, "", dry_run=True))
    if _text(form, "confirmed") != str(counted):
        raise RefusedError(
            422,
            gettext("Nothing was done"),
            gettext("The number that was typed is not the number of dead letters."),
            gettext("Go back, reload the page and type it without commas."),
        )
    console.control.delete_dead_letters(viewer.caller, _text(form, "why"), dry_run=False)
    return _done(console, form, "dead-letters")


@router.post("/limit")
def limit(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Set the limit by hand, for a time if wished, or go back to the configured one."""
    require(viewer, "operator")
    given = _text(form, "rate")
    rate = given if given == "default" or "/" in given else f"{given}/second"
    console.control.set_limit(viewer.caller, rate, _text(form, "why"), None if rate == "default" else end_of_form(form))
    return _done(console, form, "limit")


@router.post("/select")
def select(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Begin to count all specs of a run that match a filter, before anything is done to them."""
    require(viewer, "operator", whole=False)
    given, state = _text(form, "act"), _text(form, "state")
    if given not in get_args(BulkAct):
        raise InputError(gettext("Choose what is to be done."))
    states = {"open": _OPEN, "bad": _BAD, "": ()}.get(state, (state,))
    selection = Selection.of(
        run=viewer.name_of(_text(form, "run")) or None,
        brand=_text(form, "brand") or None,
        states=tuple(states),
        code=_text(form, "code") or None,
    )
    made = console.selections.make(viewer.caller, cast(BulkAct, given), selection)
    return RedirectResponse(f"{console.home}selections/{made['id']}", 303)
