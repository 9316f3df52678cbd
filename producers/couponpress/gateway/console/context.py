"""What every page of the console is served with: who looks, the forms' token, and the answers to trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request
from jinja2 import Environment
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from couponpress.gateway.console.rendering import environment, size
from couponpress.gateway.console.session import COOKIE, Session
from couponpress.gateway.console.viewer import PersonRole, Viewer
from couponpress.gateway.console.wiring import PATH, Console
from couponpress.gateway.console.words import (
    act_names,
    navigation,
    night_states,
    process_roles,
    process_states,
    result_names,
    role_name,
    selection_acts,
    selection_states,
    told_messages,
    told_role,
)
from couponpress.gateway.control import address_of
from couponpress.language import gettext
from couponpress.spec_sentences import event_sentence, state_names
from couponpress.time_zone import told_zone

#: What a form without a file may have.
_FORM_BYTES = 1 << 16


class LoginNeededError(Exception):
    """The request comes from nobody who is logged in."""


class RefusedError(Exception):
    """The request is refused, with a sentence for the person and what to do about it; the audit log notes the kind."""

    def __init__(self, status: int, heading: str, detail: str, cure: str = "", *, kind: str = "refused") -> None:
        super().__init__(detail)
        self.status = status
        self.heading = heading
        self.detail = detail
        self.cure = cure
        self.kind = kind


_templates: Environment = environment()


def the_console(request: Request) -> Console:
    """Return the console that a request is for."""
    return cast(Console, request.app.state.console)


TheConsole = Annotated[Console, Depends(the_console)]


def session_of(request: Request, console: TheConsole) -> Session | None:
    """Return the login of a request; None when there is none, or its token is no longer in force."""
    return console.session(request.cookies.get(COOKIE))


TheSession = Annotated[Session | None, Depends(session_of)]


def viewer_of(request: Request, console: TheConsole, session: TheSession) -> Viewer:
    """Return who looks.

    Raises:
        LoginNeededError: nobody is logged in.
    """
    token = console.tokens.tokens().named(session.name) if session is not None else None
    if token is None or token.role == "app":
        raise LoginNeededError
    viewer = Viewer(token, address_of(request))
    request.state.viewer = viewer
    return viewer


Looking = Annotated[Viewer, Depends(viewer_of)]


async def form_of(request: Request, console: TheConsole, session: TheSession) -> FormData:
    """Return a form that came from a page of this login.

    Raises:
        RefusedError: it did not.
    """
    _check_length(
        request, console.settings.console_upload_limit if request.url.path == f"{PATH}upload" else _FORM_BYTES
    )
    form = await request.form(max_files=1, max_fields=50)
    if not console.sessions.is_form_token(session, str(form.get("form_token", ""))):
        raise RefusedError(
            403,
            gettext("This form is too old"),
            gettext("It was made before you logged in, or it came from another site. Nothing was done."),
            gettext("Go back, reload the page and send it again."),
            kind="stale-form",
        )
    return form


def _check_length(request: Request, most: int) -> None:
    """Refuse a form that is too large before a byte of it is read.

    Raises:
        RefusedError: it is, or does not say how large it is.
    """
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > most:
        raise RefusedError(
            413,
            gettext("The file is too large"),
            gettext("At most %(size)s may be uploaded here.") % {"size": size(most)},
            gettext("Submit it by `couponpress submit` on the server, or cut it into several files."),
        )


TheForm = Annotated[FormData, Depends(form_of)]


def require(viewer: Viewer, role: PersonRole, *, whole: bool = True) -> None:
    """Refuse what a role, or a token of some brands only, may not do.

    Raises:
        RefusedError: it may not.
    """
    if not viewer.may(role) or (whole and not viewer.sees_all):
        raise RefusedError(
            403,
            gettext("You may not do this"),
            told_role(viewer),
            kind="brand-not-allowed" if viewer.may(role) else "role-not-allowed",
        )


def render(request: Request, template: str, *, page: str = "-", status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    """Return a page."""
    return HTMLResponse(fragment(request, template, page=page, **values), status)


def fragment(request: Request, template: str, *, page: str = "-", **values: Any) -> str:  # noqa: ANN401
    """Return a template's text, with what every page needs."""
    console = the_console(request)
    session = session_of(request, console)
    viewer = getattr(request.state, "viewer", None)
    context: Mapping[str, Any] = {
        "home": console.home,
        "partner": console.keys.mchid if console.prefix else "",
        "partners": console.others(session) if session and viewer else {},
        "here": console.prefix + request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "page": page,
        "viewer": viewer,
        "navigation": navigation(viewer) if viewer else [],
        "form_token": console.sessions.form_token(session),
        "told": told_messages().get(request.query_params.get("told", "")),
        "states": state_names(),
        "role_name": role_name,
        "event_sentence": event_sentence,
        "told_zone": told_zone(),
        "roles": process_roles(),
        "process_states": process_states(),
        "act_names": act_names(),
        "night_states": night_states(),
        "result_names": result_names(),
        "selection_acts": selection_acts(),
        "selection_states": selection_states(),
    }
    return _templates.get_template(template).render({**context, **values})


def back_to(console: Console, form: FormData, told: str = "") -> RedirectResponse:
    """Return to the page that a form stood on; never to another site."""
    parts = urlsplit(str(form.get("back", "")))
    own = parts.path.startswith(console.home) and not parts.netloc and not parts.scheme
    path = parts.path if own else console.home
    return RedirectResponse(f"{path}?told={told}" if told else path, 303)
