"""The console as an application of its own, which the gateway serves below /console.

It answers every request in the viewer's language, with headers that let the browser run and fetch nothing but the
console's own files, and shows every failure as a page with a sentence.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from mimetypes import guess_type

import redis
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from couponpress.errors import CouponpressError
from couponpress.gateway.console import (
    acts,
    audit_page,
    login,
    pages,
    schedules,
    selection_pages,
    streams,
    upload_pages,
)
from couponpress.gateway.console.context import (
    LoginNeededError,
    RefusedError,
    render,
    session_of,
    the_console,
    viewer_of,
)
from couponpress.gateway.console.login import LANGUAGE_COOKIE
from couponpress.gateway.console.rendering import STATIC
from couponpress.gateway.console.wiring import Console
from couponpress.gateway.control import address_of
from couponpress.gateway.problem_sentences import in_words
from couponpress.gateway.problems import Refusal, refusal_of
from couponpress.gateway.store_troubles import store_troubles
from couponpress.language import LANGUAGES, Language, gettext, language_of_header, speaking
from couponpress.ledger.attribution import Actor

log = logging.getLogger(__name__)


#: What a browser may load: the console's own files, and pictures of hosts that the operator allows.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; img-src 'self'"
)


def application(console: Console) -> FastAPI:
    """Return the console's application, to be mounted at /console."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            LoginNeededError: _to_login,
            RefusedError: _refused,
            HTTPException: _http,
            Refusal: _failed,
            CouponpressError: _failed,
            redis.RedisError: _failed,
        },
    )
    app.state.console = console
    for part in (login, pages, upload_pages, streams, schedules, acts, selection_pages, audit_page):
        app.include_router(part.router)
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    policy = " ".join([_POLICY, *(f"https://{host}" for host in sorted(console.settings.picture_hosts))])
    app.add_middleware(_Answered, policy=policy)
    return app


class _Answered:
    """Speaks the viewer's language while a request is answered, and adds the headers that every answer carries.

    What nobody foresaw is answered here too: Starlette's own handler of it stands outside of this one.
    """

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                held = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *self._headers]
                if b"cache-control" not in held:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        request = Request(scope)
        with speaking(_language(request)):
            try:
                await self._app(scope, receive, sending)
            except Exception as error:
                if started:
                    raise
                failed = await _failed(request, error)
                await failed(scope, receive, sending)


def _language(request: Request) -> Language:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    for language in LANGUAGES:
        if chosen == language:
            return language
    return language_of_header(request.headers.get("accept-language"))


def _static(name: str) -> Response:
    """Return a file of the console; its address changes with its content, so it may be kept for ever."""
    path = STATIC / name
    if path.parent != STATIC or not path.is_file():
        raise HTTPException(404)
    kind = guess_type(name)[0] or "text/plain"
    return Response(
        path.read_bytes(), media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


async def _to_login(request: Request, _: Exception) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        console = the_console(request)
        return RedirectResponse(f"{console.home}login?next={console.prefix}{request.url.path}", 303)
    return HTMLResponse(gettext("Your login has ended; log in again."), 401)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - the handler is registered for it
    if error.status == 403:
        await _note_denial(request, error.kind)
    return render(
        request, "error.html", status=error.status, heading=error.heading, detail=error.detail, cure=error.cure
    )


async def _note_denial(request: Request, kind: str) -> None:
    """Note in the audit log what was refused to whom."""
    viewer = getattr(request.state, "viewer", None)
    actor = viewer.actor if viewer else Actor("console", "nobody", address_of(request))
    console = the_console(request)
    await asyncio.to_thread(console.denials.note, actor, kind, request.method, request.url.path)


async def _http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    console = the_console(request)
    with suppress(LoginNeededError):  # no route has looked who it is
        viewer_of(request, console, session_of(request, console))
    return render(
        request,
        "error.html",
        status=status,
        heading=gettext("There is nothing here"),
        detail=gettext("The address leads to no page of the console."),
        cure="",
    )


async def _failed(request: Request, error: Exception) -> Response:
    refusal = refusal_of(error)
    store_troubles.note(error)
    if refusal is None:
        log.error("a page of the console failed", exc_info=error)
        heading, detail, status = gettext("The console failed"), gettext("Its log says more."), 500
    elif refusal.kind == "redis-away":
        heading, status = gettext("Redis does not answer"), 503
        detail = gettext("Nothing is lost: what was enqueued stays there. This page works again when Redis does.")
    elif refusal.kind == "redis-full":
        heading, detail, status = gettext("Redis is full"), gettext("Nothing of this was stored."), 503
    elif refusal.status == 403:
        await _note_denial(request, refusal.kind)
        heading, detail, status = gettext("You may not do this"), in_words(refusal.detail), 403
    elif refusal.kind == "no-such-run":
        heading, detail, status = gettext("There is no such run"), gettext("It is forgotten, or not yours to see."), 404
    else:
        heading, status = gettext("This cannot be done"), refusal.status
        detail = in_words(refusal.detail)
    return render(request, "error.html", status=status, heading=heading, detail=detail, cure="")
