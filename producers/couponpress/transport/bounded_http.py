"""uvicorn's HTTP protocol with bounds on connections and on the size and time of a request's head.

uvicorn itself waits for ever for the end of a head, and its parser keeps a head of any size in memory. Here:

- a head that is too large gets 431, a head that takes too long gets 408; the connection is closed;
- when too many connections are open, the one that has waited longest for its client is closed: first those between
  requests or within a head, then those within a body. So slow clients make room for others;
- what is left of a body after the answer is read and dropped, but only for a limited time;
- a client that does not read its answer is disconnected.

The time for a body is the application's concern, for only the application knows how large a body may be.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: A callback's head has 1 KB, a gateway request's less than that; proxies add a few lines.
HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
#: A client of ours has one request in hand per connection; a proxy may send a few at once.
PIPELINED_REQUESTS = 16
#: How long the rest of a body is read that nobody wants any more, so that its sender gets to read the answer.
UNWANTED_BODY_SECONDS = 30.0
#: How long a client may leave an answer unread.
UNREAD_SECONDS = 60.0
MOST_CONNECTIONS = 1000
#: Files and sockets that a service needs besides the connections of its clients.
OTHER_FILES = 64


class PipelineTooLongError(Exception):
    """A client sent many requests without waiting for their answers."""


def most_connections() -> int:
    """Return how many connections may be open at a time; fewer than usual where `ulimit -n` is small."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(16, min(MOST_CONNECTIONS, files - OTHER_FILES))


@dataclass(slots=True)
class Bounds:
    """The bounds of one server, and which of its connections wait for their clients.

    Attributes:
        connections: how many may be open at a time.
        head_bytes: how large a request's head may be: request line and headers.
        head_seconds: how long a client may take for a head.
        in_head: connections between requests or within a head, those that have waited longest first.
        in_body: connections within a body, those that have sent nothing of it for longest first.
    """

    connections: int = field(default_factory=most_connections)
    head_bytes: int = HEAD_BYTES
    head_seconds: float = HEAD_SECONDS
    unwanted_body_seconds: float = UNWANTED_BODY_SECONDS
    unread_seconds: float = UNREAD_SECONDS
    in_head: dict[BoundedProtocol, None] = field(default_factory=dict)
    in_body: dict[BoundedProtocol, None] = field(default_factory=dict)

    def make_room(self) -> bool:
        """Close the connection that has waited longest for its client; False if none waits."""
        for waiting in (self.in_head, self.in_body):
            if waiting:
                waiting.pop(oldest := next(iter(waiting)))
                oldest.transport.abort()
                return True
        return False


class BoundedProtocol(HttpToolsProtocol):
    """One connection within bounds."""

    def __init__(self, *args: Any, bounds: Bounds, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **options)
        self._bounds = bounds
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._in_head = True
        #: Bytes since the parser last got to the end of a head, to a piece of a body or to its end.
        self._undigested = 0
        self._digested = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Count the connection, and give it time for its first head."""
        full = len(self.connections) >= self._bounds.connections and not self._bounds.make_room()
        super().connection_made(transport)
        if full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._bounds.in_head[self] = None
        self._arm(self._bounds.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        self.resume_writing()
        self._bounds.in_head.pop(self, None)
        self._bounds.in_body.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless there is more of it than a head may have."""
        if self.transport.is_closing():
            return
        self._digested = False
        super().data_received(data)
        self._undigested = 0 if self._digested else self._undigested + len(data)
        if self.transport.is_closing():
            return
        if self._undigested > self._bounds.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._in_head and self._undigested and self._timer is None:  # a head has begun; an answer may be under way
            self._arm(self._bounds.head_seconds)

    def on_headers_complete(self) -> None:
        """Hand the request on, or refuse it for its head."""
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            raise PipelineTooLongError
        self._digested, self._in_head = True, False
        self._disarm()
        self._bounds.in_head.pop(self, None)
        self._bounds.in_body[self] = None
        head = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        app = self.app
        if head > self._bounds.head_bytes:
            self.app = _head_too_large
        super().on_headers_complete()
        self.app = app

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on; who sends something waits anew."""
        self._digested = True
        waiting = self._bounds.in_body
        if self in waiting:
            waiting.pop(self)
            waiting[self] = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._digested, self._in_head = True, True
        self._bounds.in_body.pop(self, None)
        super().on_message_complete()
        if self.cycle.response_complete:
            self._disarm()
            self._bounds.in_head[self] = None
            if self.timeout_keep_alive_task is None:  # stopped by the rest of the body
                self._arm(self._bounds.head_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request, or a while for what is left of this one's body."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        self._bounds.in_body.pop(self, None)
        self._bounds.in_head[self] = None
        if not self._in_head:
            self._arm(self._bounds.unwanted_body_seconds)

    def pause_writing(self) -> None:
        """Give the client a while to read its answer."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self._bounds.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, for the client reads."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        idle = cycle is None or cycle.response_complete
        if self._in_head and idle:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer without the application, and close."""
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
            self.transport.close()


async def _head_too_large(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body"})
