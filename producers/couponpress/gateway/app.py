"""The gateway as an ASGI application: FastAPI's routes, and a fast path for the request that comes most often.

A well-formed POST of a single spec skips FastAPI and goes straight to `Ingest`, which makes the same checks. Every
failure is answered with a problem document; an unforeseen one is also logged with its trace.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache

import redis
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from couponpress.broken_rules import rule_in_words
from couponpress.errors import CouponpressError
from couponpress.gateway.asked_language import asked_language
from couponpress.gateway.body import TimedReceive
from couponpress.gateway.control import Caller, Control, address_of
from couponpress.gateway.control_routes import router as control_router
from couponpress.gateway.denials import Denials
from couponpress.gateway.document import document_of, page_of
from couponpress.gateway.ingest import Ingest
from couponpress.gateway.problems import PAGE, Refusal, refusal_of
from couponpress.gateway.queries import Queries
from couponpress.gateway.routes import RUN_PATTERN, metrics, router
from couponpress.gateway.selection_routes import router as selection_router
from couponpress.gateway.selections import Selections
from couponpress.gateway.store_troubles import store_troubles
from couponpress.keys import Lane
from couponpress.language import joined, speaking
from couponpress.ledger.attribution import Actor

log = logging.getLogger(__name__)

SPEC_PATH = re.compile(f"/v1/runs/({RUN_PATTERN})/specs")
#: Paths whose bodies have a bound of their own: a stream's, and that of the console's uploads.
OWN_BOUND = re.compile(f"/v1/runs/{RUN_PATTERN}/catalog|/console/.*", re.DOTALL)
#: Its body is a stream of lines, which a program may write as they come to be.
STREAM_PATH = re.compile(f"/v1/runs/{RUN_PATTERN}/catalog", re.DOTALL)
#: The most bytes of any other body; the longest that any path needs has a few hundred.
BODY_LIMIT_BYTES = 16 * 1024
#: Query strings that need no parser.
LANE_OF_QUERY: dict[bytes, Lane] = {b"": "urgent", b"lane=urgent": "urgent", b"lane=bulk": "bulk"}


class Gateway:
    """The ASGI application.

    Args:
        ingest: what takes specs.
        queries: what answers questions.
        control: what acts on runs and the fleet.
        denials: what notes refusals.
        selections: acts on all that match a filter.
        lifetime: entered when the process starts to serve, left when it ends.
        console: the pages below /console; None for a gateway without.
        prefix: what stands before every path of this gateway, and is cut off before a request comes here.
    """

    def __init__(
        self,
        ingest: Ingest,
        queries: Queries,
        control: Control,
        denials: Denials,
        selections: Selections,
        lifetime: Callable[[], AbstractAsyncContextManager[None]],
        console: ASGIApp | None = None,
        prefix: str = "",
    ) -> None:
        self._ingest = ingest
        self._denials = denials
        self._routes = application(ingest, queries, control, denials, selections, lifetime)
        self._single: ASGIApp = self._take_one
        if console is not None:
            self._routes.mount("/console", console)
            home = f"{prefix}/console/"
            self._routes.add_route("/console", lambda _: RedirectResponse(home), include_in_schema=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process."""
        if scope["type"] == "http":
            limit = None if OWN_BOUND.fullmatch(scope["path"]) else BODY_LIMIT_BYTES
            receive = TimedReceive(receive, limit, by_line=STREAM_PATH.fullmatch(scope["path"]) is not None)
        if scope["type"] == "http" and scope["method"] == "POST":
            found = SPEC_PATH.fullmatch(scope["path"])
            lane = LANE_OF_QUERY.get(scope["query_string"])
            if found is not None and lane is not None:
                scope["path_params"] = {"run": found[1], "lane": lane}
                await self._single(scope, receive, send)
                return
        await self._routes(scope, receive, send)

    def trace(self, begin: Callable[[FastAPI, ASGIApp], tuple[ASGIApp, Callable[[], None]]]) -> Callable[[], None]:
        """Make spans of requests from now on; returns what ends them."""
        self._single, end = begin(self._routes, self._take_one)
        return end

    async def _take_one(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer_to_one(scope, receive, **scope["path_params"])
        await response(scope, receive, send)

    async def _answer_to_one(self, scope: Scope, receive: Receive, run: str, lane: Lane) -> Response:
        headers, request = Headers(scope=scope), Request(scope)
        try:
            token = request.state.token = self._ingest.holder(headers.get("authorization"))
            Caller(token, "").require("enqueue")
            return await self._ingest.take_one(token, run, lane, headers, receive)
        except Exception as error:  # noqa: BLE001 - told to the caller, and to the log when nobody foresaw it
            await note_denial(self._denials, request, error)
            return answered(error)


def answered(error: Exception) -> Response:
    """Return the answer to a request that failed."""
    refusal = refusal_of(error)
    store_troubles.note(error)
    if refusal is None:
        log.error("a request failed", exc_info=error)
        refusal = Refusal("internal", "the gateway failed; its log says more")
    return refusal.response()


async def note_denial(denials: Denials, request: Request, error: Exception) -> None:
    """Note a request that was refused for want of a token or a right."""
    if isinstance(error, Refusal) and error.status in {401, 403}:
        token = getattr(request.state, "token", None)
        actor = Actor("gateway", token.name if token else "nobody", address_of(request))
        await asyncio.to_thread(denials.note, actor, error.kind, request.method, request.url.path)


def application(
    ingest: Ingest,
    queries: Queries,
    control: Control,
    denials: Denials,
    selections: Selections,
    lifetime: Callable[[], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """Return FastAPI's side, with what answers requests in its state, where the routes find it."""
    app = FastAPI(
        lifespan=lambda _: lifetime(),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            Refusal: _tell,
            CouponpressError: _tell,
            redis.RedisError: _tell,
            HTTPException: _tell_http,
            RequestValidationError: _tell_invalid,
            Exception: _tell,
        },
    )
    app.state.ingest, app.state.queries, app.state.control, app.state.denials = ingest, queries, control, denials
    app.state.selections = selections
    app.include_router(control_router)
    app.include_router(selection_router)
    app.include_router(router)
    document = cache(lambda: document_of(app))  # made when it is first asked for: that takes 0.1 s of CPU
    page = cache(lambda: page_of(document()))
    app.add_route("/openapi.json", lambda _: JSONResponse(document()), include_in_schema=False)
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.add_route(PAGE, lambda _: HTMLResponse(page()), include_in_schema=False)
    return app


async def _tell(request: Request, error: Exception) -> Response:
    await note_denial(request.app.state.denials, request, error)
    return answered(error)


async def _tell_http(request: Request, error: Exception) -> Response:
    if isinstance(error.__cause__, Refusal):  # FastAPI makes this of whatever ends the reading of a body
        return error.__cause__.response()
    status = getattr(error, "status_code", 500)
    kind = {404: "no-such-path", 405: "wrong-method", 400: "not-json"}.get(status, "internal")
    headers = {"Allow": ", ".join(_methods(request))} if status == 405 else {}
    return Refusal(kind, "look at /docs for the paths and what they take", headers=headers).response()


def _methods(request: Request) -> list[str]:
    """Return the methods of the path that a request came to, over all of its routes."""
    routes = [
        route
        for route in (*control_router.routes, *selection_router.routes, *router.routes)
        if isinstance(route, APIRoute)
    ]
    path = next((route.path_format for route in routes if route.matches(request.scope)[0] is Match.PARTIAL), None)
    return sorted({method for route in routes if route.path_format == path for method in route.methods or ()})


async def _tell_invalid(_: Request, error: Exception) -> Response:
    errors, told = [], []
    for detail in error.errors() if isinstance(error, RequestValidationError) else []:
        place, *name = detail["loc"]
        if detail["type"] == "json_invalid":
            return Refusal("not-json", "the body is not JSON").response()
        errors.append({"in": str(place), "parameter": ".".join(map(str, name)), "rule": rule_in_words(detail)})
        with speaking(asked_language()):
            told.append(f"{errors[-1]['parameter']} {rule_in_words(detail)}")
    with speaking(asked_language()):
        every = joined(told)
    return Refusal("invalid", f"the request breaks a rule: {every}", errors=errors).response()
