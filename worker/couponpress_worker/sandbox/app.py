"""The sandbox as an ASGI application: hands requests to `platform` and sends its answers, with latency and faults.

Faults of the connection (resets, silence) are made here. The path of a submit is kept short, because the sandbox shares
its cores with the fleet that it tests.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import partial

from starlette.types import Receive, Scope, Send

from couponpress_worker.sandbox import refusals, upload
from couponpress_worker.sandbox.calls import Calls
from couponpress_worker.sandbox.control import Control
from couponpress_worker.sandbox.courier import Courier
from couponpress_worker.sandbox.exchange import Answer, Request
from couponpress_worker.sandbox.faults import RequestFault
from couponpress_worker.sandbox.lag import Lag
from couponpress_worker.sandbox.platform import Platform
from couponpress_worker.sandbox.protocol import ARRIVED_US, CONNECTION, LIFE, Connection, reset
from couponpress_worker.sandbox.routes import Call
from couponpress_worker.sandbox.signatures import Signatures

#: Ten times the largest valid body of any call but an upload.
MAX_BODY_BYTES = 64 * 1024
_TASK_ID = re.compile(rb'"task_id" *: *"([^"]{1,64})"')
_INNER_FAULTS = (500, 503, 504)


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


class App:
    """Serves one platform."""

    def __init__(self, platform: Platform, courier: Courier, signatures: Signatures) -> None:
        self._platform = platform
        self._courier = courier
        self._signatures = signatures
        self._lag = Lag()
        self._control = Control(platform, courier, self._lag)
        self._silent: set[Connection] = set()
        self._stopping: asyncio.Future[None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    def stop(self) -> None:
        """End every request that a fault keeps waiting."""
        if not self._stopping.done():
            self._stopping.set_result(None)
        for connection in list(self._silent):
            connection.abort()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._stopping = asyncio.get_running_loop().create_future()
        await self._courier.open()
        self._lag.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._lag.stop()
        await self._courier.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        if self._control.owns(path):
            with suppress(ClientGoneError):
                body = await _read(receive, MAX_BODY_BYTES)
                query = scope["query_string"].decode("latin-1")
                await _send(send, await self._control.answer(method, path, query, body or b""), {})
            return
        call = self._platform.find(method, path)
        if isinstance(call, Answer):
            await self._reply(send, call)
            return
        try:
            await self._call(call, scope, receive, send)
        except ClientGoneError:
            self._platform.counts[f"{call.kind} dropped"] += 1

    async def _call(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        platform = self._platform
        number, admitted = platform.arrive(call.kind, scope["state"].get(ARRIVED_US) or platform.monotonic_us())
        # Kept in a variable: a reset replaces this list while the request is handled.
        arrivals = platform.arrivals[call.kind]
        calls = platform.calls if call.kind == "submit" else None
        faults, fault = platform.behaviour.faults, None
        if admitted and faults.hit_requests:
            fault = faults.of_request(platform.dice.roll(call.kind, number))
        if calls is not None:
            calls.arrived(scope["state"].get(LIFE), fault)
        if fault is not None:
            platform.counts[f"fault {fault}"] += 1
        if fault == "resets_before":
            platform.counts[f"{call.kind} dropped"] += 1
            await _reset(scope["state"][CONNECTION], receive)
            return
        request = await _request(scope, receive, upload.MAX_BODY_BYTES if call.kind == "upload" else MAX_BODY_BYTES)
        if calls is not None and request is not None:
            calls.read(number, request.body)
        answer = self._answer(call, request, number, fault, calls) if admitted else refusals.too_fast()
        arrivals.task_ids[number] = _named_task(call, request)
        if fault == "resets_after":
            await _reset(scope["state"][CONNECTION], receive)
        elif fault == "silence":
            await self._keep_silent(scope["state"][CONNECTION], receive)
        else:
            await self._wait(fault)
            arrivals.statuses[number] = answer.status
            if calls is not None:
                calls.answered(number, platform.monotonic_us())
            await self._reply(send, answer, fault)

    def _answer(
        self, call: Call, request: Request | None, number: int, fault: RequestFault | None, calls: Calls | None
    ) -> Answer:
        """Hand the request to the platform, unless a fault drops it before."""
        platform = self._platform
        dropped = fault == "html" or (fault == "errors" and platform.dice.roll("errors taken", number) < 50)
        answer = None
        if dropped:
            platform.counts[f"{call.kind} dropped"] += 1
        elif request is None:
            platform.counts[f"{call.kind} rejected"] += 1
            answer = refusals.too_large(upload.MAX_PICTURE_BYTES if call.kind == "upload" else MAX_BODY_BYTES)
        else:
            answer = platform.answer(call, request, None if calls is None else partial(calls.taken, number))
        if fault == "html":
            return refusals.gateway_page()
        if fault == "errors" or answer is None:
            kind = int(platform.dice.roll("errors kind", number) * len(_INNER_FAULTS) / 100)
            return refusals.inner_fault(_INNER_FAULTS[kind])
        return answer

    async def _wait(self, fault: RequestFault | None) -> None:
        behaviour = self._platform.behaviour
        milliseconds = behaviour.latency_ms + (behaviour.faults.slow_ms if fault == "slow" else 0)
        if milliseconds:
            await asyncio.wait((self._stopping,), timeout=milliseconds / 1000)

    async def _keep_silent(self, connection: Connection, receive: Receive) -> None:
        self._silent.add(connection)
        await _gone(receive)
        self._silent.discard(connection)

    async def _reply(self, send: Send, answer: Answer, fault: RequestFault | None = None) -> None:
        headers = {"Request-ID": self._signatures.request_id(answer.number)}
        if 200 <= answer.status < 300 and fault != "unsigned_answers":
            headers |= self._signatures.headers(answer.body, probe=fault == "probe_answers")
        await _send(send, answer, headers)


def _named_task(call: Call, request: Request | None) -> str:
    if call.kind == "submit" and request is not None and (match := _TASK_ID.search(request.body)) is not None:
        return match[1].decode("utf-8", "replace")
    return call.task_id


async def _request(scope: Scope, receive: Receive, limit_bytes: int) -> Request | None:
    """Return the whole request, or None if its body is longer than `limit_bytes`."""
    body = await _read(receive, limit_bytes)
    if body is None:
        return None
    return Request(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body,
    )


async def _read(receive: Receive, limit_bytes: int) -> bytes | None:
    body, more = b"", True
    while more and len(body) <= limit_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body if len(body) <= limit_bytes else None


async def _send(send: Send, answer: Answer, headers: dict[str, str]) -> None:
    fields = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
        *((name.encode(), value.encode()) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": fields})
    await send({"type": "http.response.body", "body": answer.body})


async def _reset(connection: Connection, receive: Receive) -> None:
    reset(connection)
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
