"""The forms: pause, resume, cancel, redrive, the limit. Each act is a POST that carries the token of its page.

Every act says who did it and why, as the gateway's own routes do; it stands in the audit log.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from couponpress.errors import InputError
from couponpress.gateway.console.context import (
    HOME,
    Console,
    Looking,
    RefusedError,
    TheConsole,
    TheForm,
    back_to,
    require,
)
from couponpress.language import gettext
from couponpress.ledger.chosen import BulkAct
from couponpress.ledger.moments import read_end
from couponpress.ledger.redrive import RedrivenOutcome
from couponpress.ledger.selection import Selection

router = APIRouter(prefix="/acts")

_OPEN = ("waiting", "retrying", "looking")
_BAD = ("failed", "rejected", "expired", "cancelled")


def _done(console: Console, form: FormData, told: str) -> Response:
    """Return to the page of the form, which shows what has changed."""
    console.overview.expire()
    return back_to(form, told)


def _text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def _scope(form: FormData) -> dict[str, Any]:
    """Return what a hold is of, as the client's arguments."""
    kind, scope = _text(form, "kind"), _text(form, "scope")
    if kind == "run" and scope:
        return {"run": scope}
    if kind == "brand" and scope:
        return {"brand": scope}
    if kind == "partner":
        return {}
    raise InputError(gettext("Say what is to be held: everything, a run or a brand."))


def _end(form: FormData) -> datetime | timedelta | None:
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
    require(viewer, "operator")
    client = console.client.acting_as(viewer.actor)
    held = client.pause(**_scope(form), why=_text(form, "why"), until=_end(form))
    return _done(console, form, "paused" if held else "held-before")


@router.post("/resume")
def resume(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Release a hold."""
    require(viewer, "operator")
    released = console.client.acting_as(viewer.actor).resume(**_scope(form), why=_text(form, "why"))
    return _done(console, form, "resumed" if released else "not-held")


@router.post("/cancel")
def cancel(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Take back what waits of a run, once its name was typed."""
    require(viewer, "operator")
    run = _text(form, "run")
    if not run or _text(form, "confirmed") != run:
        raise RefusedError(
            422,
            gettext("Nothing was cancelled"),
            gettext("The name that was typed is not the run's name."),
            gettext("Go back and type it as it stands in the heading."),
        )
    console.client.acting_as(viewer.actor).cancel(run, why=_text(form, "why"))
    return _done(console, form, "cancelled")


@router.post("/redrive")
def redrive(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Send specs of a run again that ended badly, by outcome and code."""
    require(viewer, "operator")
    outcomes = [one for one in ("expired", "rejected", "failed") if one in form.getlist("outcome")]
    if not outcomes:
        raise InputError(gettext("Choose at least one outcome."))
    client = console.client.acting_as(viewer.actor)
    for outcome in outcomes:
        chosen = cast(RedrivenOutcome, outcome)
        client.redrive(_text(form, "run"), outcome=chosen, code=_text(form, "code") or None, why=_text(form, "why"))
    return _done(console, form, "redriven")


@router.post("/limit")
def limit(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Set the limit by hand, for a time if wished, or go back to the configured one."""
    require(viewer, "operator")
    given = _text(form, "rate")
    rate = None if given in ("", "default") else given if "/" in given else f"{given}/second"
    client = console.client.acting_as(viewer.actor)
    client.set_rate(rate, until=None if rate is None else _end(form), why=_text(form, "why"))
    return _done(console, form, "limit")


@router.post("/select")
def select(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Begin to count all specs of a run that match a filter, before anything is done to them."""
    require(viewer, "operator")
    act: BulkAct = "cancel" if _text(form, "act") == "cancel" else "redrive"
    state = _text(form, "state")
    states = {"open": _OPEN, "bad": _BAD, "": ()}.get(state, (state,))
    selection = Selection.of(
        run=_text(form, "run") or None,
        brand=_text(form, "brand") or None,
        states=tuple(states),
        code=_text(form, "code") or None,
    )
    made = console.selections.make(viewer.caller, act, selection)
    return RedirectResponse(f"{HOME}selections/{made['id']}", 303)
