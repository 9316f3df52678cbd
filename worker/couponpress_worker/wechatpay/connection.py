"""The connection side of the platform's client: when the bytes of a request leave, and whether they have left.

Decides that a request waits for its slot with a connection in hand, so that no name lookup, TCP or TLS handshake
falls between the slot's moment and the bytes. Refuses to know what a slot is: a gate is awaited, no more.

What aiohttp does between `connect` and the bytes was read in its 3.14 source: without traces and middlewares nothing
but `_connect_and_send_request`, `ClientRequest.send` and `StreamWriter.write`, none of which suspends; on Python 3.11
the last one runs in a task of its own, which is what `PromptRequest` mends.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import aiohttp

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

#: Returns at the slot's moment, or raises `SlotPassed`.
Gate: TypeAlias = Callable[[], Awaitable[None]]


class SlotPassed(Exception):  # noqa: N818 - a moment that went by, not a fault
    """The slot's moment went by before the request could leave; no byte was written."""


class RepeatRefused(Exception):  # noqa: N818 - what is refused is aiohttp's, not ours
    """The library wanted to send a request a second time by itself; every attempt needs a slot of its own."""


@dataclass(slots=True)
class Passage:
    """One request's way through the gate.

    Attributes:
        gate: awaited once, with a connection in hand; None lets the request through at once.
        patience: the running time limit of the exchange; it starts to count when the bytes leave.
        seconds: how long the far end may take for its whole answer.
        passed: whether bytes may have left. Until then a failure means surely: not sent.
    """

    gate: Gate | None
    patience: asyncio.Timeout
    seconds: float
    passed: bool = False


#: The passage of the request that the current task is sending.
passage_in_hand: ContextVar[Passage] = ContextVar("passage_in_hand")


class GatedConnector(aiohttp.TCPConnector):
    """A connection pool whose every connection is handed out at the moment that the request's gate allows.

    The pool counts a connection's rest from when it was given back. One that was taken for a request which then missed
    its slot, again and again, would look young while the far end counts on: so its rest is counted here, from the
    last request that it carried.
    """

    def __init__(self, *, keepalive_timeout: float, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(keepalive_timeout=keepalive_timeout, **options)
        self._rest_seconds = keepalive_timeout
        self._last_sent: WeakKeyDictionary[asyncio.BaseProtocol, float] = WeakKeyDictionary()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Take a pooled or a new connection, then wait for the slot.

        Raises:
            SlotPassed: the gate's own; the connection goes back to the pool unharmed.
            RepeatRefused: this request went through before.
            aiohttp.ClientConnectionError: the far end closed the connection while it waited; nothing was written.
        """
        passage = passage_in_hand.get()
        if passage.passed:
            raise RepeatRefused("the connection broke before an answer came")
        connection = await super().connect(req, traces, timeout)
        while self._rested(connection) > self._rest_seconds:
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if passage.gate is not None:
            try:
                await passage.gate()
            except BaseException:
                connection.release()
                raise
            if connection.closed:
                connection.close()
                raise aiohttp.ClientConnectionError("the far end closed the connection while it waited for its slot")
        passage.passed = True
        now = self._loop.time()
        passage.patience.reschedule(now + passage.seconds)
        if connection.protocol is not None:
            self._last_sent[connection.protocol] = now
        return connection

    def _rested(self, connection: Connection) -> float:
        """Return how long a connection has carried no request, seconds; a new one begins to rest now."""
        protocol, now = connection.protocol, self._loop.time()
        return 0.0 if protocol is None else now - self._last_sent.setdefault(protocol, now)


class PromptRequest(aiohttp.ClientRequest):
    """Writes head and body in the same turn of the event loop in which the gate let them pass.

    From Python 3.12 on aiohttp does so itself. On 3.11 it leaves the writing to a new task, which waits for its turn
    behind everything else that is ready: signatures, other answers.
    """

    def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> Coroutine[Any, Any, None]:
        """Start to write now; return what is left to do, which is nothing unless the socket's buffer is full."""
        writing = super().write_bytes(writer, conn, content_length)
        try:
            awaited = writing.send(None)
        except StopIteration:
            return _nothing()
        return _rest(writing, awaited)


async def _nothing() -> None:
    pass


async def _rest(writing: Coroutine[Any, Any, None], awaited: object) -> None:
    await _resume(writing, awaited)


@types.coroutine
def _resume(writing: Coroutine[Any, Any, None], awaited: object) -> Generator[object, object, None]:
    """Go on with a coroutine whose first step was taken by hand (what `yield from` does, PEP 380)."""
    try:
        while True:
            try:
                given = yield awaited
            except BaseException as error:  # noqa: BLE001 - handed on, a cancellation above all
                awaited = writing.throw(error)
            else:
                awaited = writing.send(given)
    except StopIteration:
        return
