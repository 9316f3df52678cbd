"""Log in, log out, and choose the language."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from couponpress.gateway.console.context import TheConsole, TheForm, TheSession, back_to, render
from couponpress.gateway.console.session import COOKIE, LOGIN_SECONDS
from couponpress.gateway.control import address_of
from couponpress.language import LANGUAGES, gettext
from couponpress.ledger.attribution import Actor

log = logging.getLogger(__name__)
router = APIRouter()

LANGUAGE_COOKIE = "couponpress_language"
_YEAR_SECONDS = 365 * 86400


@router.get("/login")
def show_login(
    request: Request,
    console: TheConsole,
    session: TheSession,
    next: str = "",  # noqa: A002 - a query's name
) -> Response:
    """Show the login form."""
    if session is not None:
        return RedirectResponse(console.home, 303)
    return render(request, "login.html", wrong="", next=next or console.home)


@router.post("/login")
def log_in(request: Request, console: TheConsole, form: TheForm) -> Response:
    """Log a person in by a token that has a role."""
    token = console.tokens.tokens().holder(str(form.get("token", "")).strip())
    if token is None or token.role == "app":
        address = address_of(request)
        with_what = "no known token" if token is None else token.name
        log.warning("a login to the console with %s failed, from %s", with_what, address or "an unknown address")
        wrong = (
            gettext("This token is not known here.")
            if token is None
            else gettext("This token is for an app: it has no role. Log in with one that has.")
        )
        actor = Actor("console", "nobody" if token is None else token.name, address)
        console.denials.note(actor, "login", "POST", request.url.path)
        return render(request, "login.html", status=403, wrong=wrong, next=str(form.get("next", console.home)))
    answer = back_to(console, form)
    wanted = str(form.get("next", console.home))
    if wanted.startswith(console.home) and "//" not in wanted:
        answer = RedirectResponse(wanted, 303)
    answer.set_cookie(
        COOKIE,
        console.sessions.cookie(token.name, token.digest),
        max_age=LOGIN_SECONDS,
        path=console.cookie_path,
        httponly=True,
        samesite="lax",
        secure=_is_https(request),
    )
    return answer


@router.post("/logout")
def log_out(console: TheConsole, form: TheForm) -> Response:
    """Log out."""
    del form
    answer = RedirectResponse(f"{console.home}login", 303)
    answer.delete_cookie(COOKIE, path=console.cookie_path)
    return answer


@router.post("/language")
def choose_language(request: Request, console: TheConsole, form: TheForm) -> Response:
    """Keep the language that was chosen, in a cookie."""
    answer = back_to(console, form)
    chosen = str(form.get("language", ""))
    if chosen in LANGUAGES:
        answer.set_cookie(
            LANGUAGE_COOKIE,
            chosen,
            max_age=_YEAR_SECONDS,
            path=console.cookie_path,
            samesite="lax",
            secure=_is_https(request),
        )
    return answer


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"
