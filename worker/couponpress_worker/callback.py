"""The public receiver of callbacks: verify over the raw bytes, open, dedupe, complete, answer within 5 s.

Decides which answer a callback gets: 2xx only for what is stored (or not ours to store), 4xx for what does not
verify, 5xx when the platform should repeat it. Refuses to know where callbacks come from: the signature counts,
not the address. Rules: facts of the event PRODUCT_COUPON_SP.IMAGE_GENERATION (partner/4017327759) and the general
callback page (re-delivery every 60 s, at most 11 times, status outranks body).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import redis.exceptions
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from couponpress_worker.completion import Completer
from couponpress_worker.errors import DecryptError
from couponpress_worker.signing import Verifier, unseal

log = logging.getLogger(__name__)

CALLBACK_PATH = "/wechatpay/callback"
#: A callback is about 1 KB; anything near this is not one.
BODY_LIMIT_BYTES = 64 * 1024
#: The partner's event, and the name that the brand variant is believed to use.
IMAGE_EVENTS = frozenset({"PRODUCT_COUPON_SP.IMAGE_GENERATION", "PRODUCT_COUPON.IMAGE_GENERATION"})

#: Counts a callback by kind; passes on an event of another kind and returns its status.
Count = Callable[[str], Awaitable[None]]
Forward = Callable[[Mapping[str, str], bytes], Awaitable[int]]


class CallbackReceiver:
    """Answers callbacks; everything it needs is handed in.

    Args:
        verifier: holds every key that the platform may sign with.
        apiv3_key: opens resources.
        completer: books completions.
        count: counts each callback by kind.
        forward: passes on events of other kinds; None acknowledges and counts them.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        *,
        verifier: Verifier,
        apiv3_key: bytes,
        completer: Completer,
        count: Count,
        forward: Forward | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._apiv3_key = apiv3_key
        self._completer = completer
        self._count = count
        self._forward = forward
        self._clock = clock

    async def receive(self, request: Request) -> Response:
        """Answer one callback."""
        try:
            body = await _limited_body(request)
        except ClientDisconnect:
            return _refusal(400, "the body did not come to its end")
        if body is None:
            return _refusal(413, "the body is too large")
        if objection := self._verifier.objection(request.headers, body, now=self._clock()):
            log.info("callback refused: %s", objection)
            return _refusal(401, objection)
        try:
            return await self._accept(request, body)
        except redis.exceptions.RedisError as error:
            log.warning("callback not stored, the platform will repeat it: %s", error)
            return _refusal(503, "not stored, please repeat")

    async def _accept(self, request: Request, body: bytes) -> Response:
        envelope = _json_object(body)
        if envelope is None:
            return _refusal(400, "the body is no JSON object")
        kind = ascii(envelope.get("event_type")).strip("'")[:64]
        if kind not in IMAGE_EVENTS:
            return await self._pass_on(request, body, kind)
        task = self._opened(envelope.get("resource"))
        if task is None:
            return _refusal(400, "the resource does not open")
        result = await self._completer.complete(task)
        if result == "unreadable":
            log.warning("callback with task_state %.40a is not understood", task.get("task_state"))
            return _refusal(400, "the task's state is not understood")
        if result == "unknown":
            # Ours by signature, but not submitted from this ledger: another system of the same partner.
            log.info("callback for task_id %.40a, which is not in this ledger", task.get("task_id"))
        if result != "done":
            await self._count(result)
        return Response(status_code=204)

    async def _pass_on(self, request: Request, body: bytes, kind: str) -> Response:
        await self._count(f"other {kind}")
        if self._forward is None:
            return Response(status_code=204)
        return Response(status_code=await self._forward(request.headers, body))

    def _opened(self, resource: object) -> dict[str, Any] | None:
        """Open a resource. Its associated data is taken as it comes: the platform's own samples disagree on it."""
        if not isinstance(resource, Mapping):
            return None
        nonce, ciphertext = resource.get("nonce"), resource.get("ciphertext")
        associated_data = resource.get("associated_data") or ""
        if not (isinstance(nonce, str) and isinstance(ciphertext, str) and isinstance(associated_data, str)):
            return None
        try:
            # Half a surrogate pair has no bytes; a replacement for it opens nothing.
            nonce_bytes, associated_bytes = nonce.encode(errors="replace"), associated_data.encode(errors="replace")
            opened = unseal(self._apiv3_key, nonce_bytes, ciphertext, associated_bytes)
        except DecryptError as error:
            log.warning("callback verifies but does not open: %s", error)
            return None
        return _json_object(opened)


def callback_app(receiver: CallbackReceiver, lifespan: Callable[[Starlette], Any] | None = None) -> Starlette:
    """Return the ASGI service: this one path and nothing else."""
    return Starlette(routes=[Route(CALLBACK_PATH, receiver.receive, methods=["POST"])], lifespan=lifespan)


async def _limited_body(request: Request) -> bytes | None:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT_BYTES:
            return None
    return bytes(body)


def _json_object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"code": "FAIL", "message": message}, status_code=status)
