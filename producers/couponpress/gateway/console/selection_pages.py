"""The page of an act on all specs that match a filter: counted first, confirmed, done in the background, stopped."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from couponpress.gateway.console.acts import end_of_form
from couponpress.gateway.console.context import Looking, RefusedError, TheConsole, TheForm, render, require
from couponpress.language import gettext

router = APIRouter(prefix="/selections")

#: An act on more specs than this is confirmed by typing their number.
CONFIRMED_FROM = 1000


@router.get("/{number}")
def show(request: Request, console: TheConsole, viewer: Looking, number: str) -> Response:
    """Show what was counted, and how far the act is."""
    require(viewer, "operator", whole=False)
    shown = console.selections.show(viewer.caller, number)
    return render(request, "selection.html", page="runs", one=shown, confirmed_from=CONFIRMED_FROM)


@router.post("/{number}/act")
def act(console: TheConsole, viewer: Looking, form: TheForm, number: str) -> Response:
    """Do it to exactly what was counted."""
    require(viewer, "operator", whole=False)
    shown = console.selections.show(viewer.caller, number)
    if shown["specs"] > CONFIRMED_FROM and str(form.get("confirmed", "")).strip() != str(shown["specs"]):
        raise RefusedError(
            422,
            gettext("Nothing was done"),
            gettext("The number that was typed is not the number of specs."),
            gettext("Go back and type it without commas."),
        )
    console.selections.act(viewer.caller, number, str(form.get("why", "")).strip(), end_of_form(form))
    console.overview.expire()
    return RedirectResponse(f"{console.home}selections/{number}", 303)


@router.post("/{number}/stop")
def stop(console: TheConsole, viewer: Looking, form: TheForm, number: str) -> Response:
    """Stop after the step in hand; what was done stays done."""
    del form
    require(viewer, "operator", whole=False)
    console.selections.stop(viewer.caller, number)
    return RedirectResponse(f"{console.home}selections/{number}", 303)
