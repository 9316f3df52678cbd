"""Serves callback receivers over HTTP, each on its path, with a bounded body and a bounded time.

`GET /` and `GET /healthz` answer 200, for load balancers; they say nothing about Redis. Every other request is answered
with 404 or 405 and logged, because a callback to another path means that the notify URL or a proxy is wrong. This is a
plain ASGI application: a web framework would cost more CPU than the verification of the signature.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from couponpress_worker.completion.callback import CALLBACK_PATH, Reply
from couponpress_worker.completion.sparse_log import SparseLog
from couponpress_worker.events import CallbackRefusal, CallbackRefused, Tell, unheard

log = logging.getLogger(__name__)

#: A callback has about 1 KB.
BODY_LIMIT_BYTES = 64 * 1024
#: The platform waits 5 s. When the body or Redis takes longer than this, the answer asks the platform to repeat.
ANSWER_SECONDS = 4.5
#: The paths that load balancers request.
HEALTH_PATHS = frozenset({"/", "/healthz"})
HEALTHY = Reply(200)
#: How the platform's look. Anybody may send a request: others get into no log line.
_REQUEST_ID = re.compile(r"[\w-]{1,80}", re.ASCII)

Receiver = Callable[[Mapping[str, str], bytes], Awaitable[Reply]]


class CallerGoneError(Exception):
    """The caller closed the connection before its request was complete."""


class CallbackService:
    """Serves each receiver on its path. The service lives inside `lifetime`."""

    def __init__(
        self,
        receivers: Mapping[str, Receiver],
        lifetime: AbstractAsyncContextManager[None] | None = None,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        tell: Tell = unheard,
    ) -> None:
        """Take the receivers by their paths, and what hears of callbacks that reach none of them."""
        self._tell = tell
        self._receivers = receivers
        self._lifetime = lifetime or nullcontext()
        self._answer_seconds = answer_seconds
        self._sparse = SparseLog(log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            request_id = Headers(scope=scope).get("Request-ID", "")
            with bound_contextvars(request_id=request_id if _REQUEST_ID.fullmatch(request_id) else ""):
                reply = self._elsewhere(scope) or await self._answer(scope, receive)
            await _send(send, reply)

    def _elsewhere(self, scope: Scope) -> Reply | None:
        """Return the answer to a request that is no callback, or None for a callback."""
        path, method = scope["path"], scope["method"]
        if path in HEALTH_PATHS and method in {"GET", "HEAD"}:
            return HEALTHY
        if path in self._receivers and method == "POST":
            return None
        reply = Reply(405, "a callback is a POST") if path in self._receivers else Reply(404, "there is nothing here")
        signed = any(name == b"wechatpay-signature" for name, _ in scope["headers"])
        shown = f"{method} {ascii(path)[1:-1][:200]}"
        if signed:
            self._tell(CallbackRefused(reply.status, "path"))
            self._sparse.write(
                "signed elsewhere",
                logging.WARNING,
                "callback answered with %d: %s is not POST %s. Correct the notify URL, or the proxy that changes it",
                reply.status,
                shown,
                CALLBACK_PATH if CALLBACK_PATH in self._receivers else f"{CALLBACK_PATH}/ with a partner's id",
            )
        else:
            self._sparse.write(
                "elsewhere", logging.INFO, "request answered with %d: %s is no callback", reply.status, shown
            )
        return reply

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        body: bytes | None = None
        try:
            async with asyncio.timeout(self._answer_seconds):
                body = await _limited_body(receive)
                if body is None:
                    return self._refused(413, "the body is too large", "large")
                return await self._receivers[scope["path"]](Headers(scope=scope), body)
        except CallerGoneError:
            return self._refused(400, "the body did not come to its end", "cut off")
        except TimeoutError:
            if body is None:
                return self._refused(408, "the body did not come in time", "slow")
            log.warning("callback not stored in time, the platform will repeat it")
            return self._refused(503, "not stored in time, please repeat", "not stored")

    def _refused(self, status: int, message: str, reason: CallbackRefusal) -> Reply:
        self._tell(CallbackRefused(status, reason))
        return Reply(status, message)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._lifetime.__aenter__()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._lifetime.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


async def _limited_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None as soon as it is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT_BYTES:
            return None
        more = message.get("more_body", False)
    return body


async def _send(send: Send, reply: Reply) -> None:
    body = reply.body
    headers = [(b"content-length", str(len(body)).encode())] if body or reply.status != 204 else []
    if body:
        headers.append((b"content-type", b"application/json"))
    if reply.status == 405:
        headers.append((b"allow", b"POST"))
    if reply.status in {408, 413}:  # the rest of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
