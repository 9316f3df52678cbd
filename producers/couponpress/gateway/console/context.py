"""What every page of the console is served with: who looks, the forms' token, and the answers to trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

import redis
from fastapi import Depends, Request
from jinja2 import Environment
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from couponpress.client import Client
from couponpress.gateway.console.live import Live
from couponpress.gateway.console.rendering import environment, size
from couponpress.gateway.console.session import COOKIE, Session, Sessions
from couponpress.gateway.console.specs import SpecReader
from couponpress.gateway.console.uploads import Uploads
from couponpress.gateway.console.viewer import PersonRole, Viewer
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
from couponpress.gateway.control import Control, address_of
from couponpress.gateway.denials import Denials
from couponpress.gateway.selections import Selections
from couponpress.gateway.settings import GatewaySettings
from couponpress.gateway.tokens import TokensFile
from couponpress.gateway.visibility import Visibility
from couponpress.keys import Keys
from couponpress.language import gettext
from couponpress.ledger.progress import ReadingLedger
from couponpress.overview.sharing import SharedOverview
from couponpress.spec_sentences import event_sentence, state_names
from couponpress.time_zone import told_zone

HOME = "/console/"
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


@dataclass(frozen=True)
class Console:
    """What the pages and the acts work with."""

    settings: GatewaySettings
    tokens: TokensFile
    client: Client
    redis: redis.Redis
    keys: Keys
    sessions: Sessions
    visibility: Visibility
    control: Control
    selections: Selections
    denials: Denials
    uploads: Uploads
    overview: SharedOverview
    live: Live = field(default_factory=Live)

    @property
    def reading(self) -> ReadingLedger:
        """The questions to the ledger."""
        return ReadingLedger(self.redis, self.keys)

    @property
    def specs(self) -> SpecReader:
        """The specs of a run, page by page."""
        return SpecReader(self.redis, self.keys)


_templates: Environment = environment()


def the_console(request: Request) -> Console:
    """Return the console that a request is for."""
    return cast(Console, request.app.state.console)


TheConsole = Annotated[Console, Depends(the_console)]


def session_of(request: Request, console: TheConsole) -> Session | None:
    """Return the login of a request; None when there is none, or its token is no longer in force."""
    session = console.sessions.read(request.cookies.get(COOKIE))
    if session is None:
        return None
    token = console.tokens.tokens().named(session.name)
    return session if token is not None and token.role != "app" and session.is_of(token.digest) else None


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
        request, console.settings.console_upload_limit if request.url.path == f"{HOME}upload" else _FORM_BYTES
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
        "home": HOME,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
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


def back_to(form: FormData, told: str = "") -> RedirectResponse:
    """Return to the page that a form stood on; never to another site."""
    parts = urlsplit(str(form.get("back", "")))
    path = parts.path if parts.path.startswith(HOME) and not parts.netloc and not parts.scheme else HOME
    return RedirectResponse(f"{path}?told={told}" if told else path, 303)
