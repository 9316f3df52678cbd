"""Gives each request an id, which its log lines and its answer carry, and notes the language that it asks for.

The id is the caller's own `X-Request-ID` where it sent a plain one, else a new one. Lines that are written while a
request is handled also carry the run that its path names.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from couponpress.gateway.asked_language import asking
from couponpress.gateway.routes import RUN_PATTERN

HEADER = "x-request-id"
#: Ids of other forms are replaced: what a caller sends must not make up log lines.
_PLAIN_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_RUN_PATH = re.compile(f"(?:/partners/[^/]+)?/v1/runs/({RUN_PATTERN})(?:/.*)?", re.DOTALL)


class RequestIds:
    """Wraps an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(HEADER, "")
        request_id = given if _PLAIN_ID.fullmatch(given) else secrets.token_hex(8)

        async def marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER.encode(), request_id.encode())]
            await send(message)

        run = _RUN_PATH.fullmatch(scope["path"])
        with (
            bound_contextvars(request_id=request_id, run=run[1] if run else ""),
            asking(headers.get("accept-language")),
        ):
            await self._app(scope, receive, marked)
