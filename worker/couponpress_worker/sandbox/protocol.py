"""uvicorn's HTTP protocol with more for the application: the moment of arrival, the connection and its end.

The moment is taken when a request's head has been read, before any task of the event loop runs: requests that wait
in several sockets at once are stamped in microseconds, whatever their answers cost afterwards.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final, Literal, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from couponpress_worker.sandbox.calls import Life
from couponpress_worker.sandbox.platform import monotonic_us

ARRIVED_US: Final = "sandbox.arrived_us"
CONNECTION: Final = "sandbox.connection"
LIFE: Final = "sandbox.life"

#: Linger for 0 seconds: closing then resets the connection instead of ending it in order.
_NO_LINGER = struct.pack("ii", 1, 0)


class Connection(Protocol):
    """The part of an `asyncio.Transport` that faults need."""

    def abort(self) -> None:
        """Close at once, dropping what is not sent."""

    def get_extra_info(self, name: Literal["socket"]) -> socket.socket:
        """Return the socket."""


class StampingProtocol(HttpToolsProtocol):
    """Puts `ARRIVED_US`, `CONNECTION` and `LIFE` into the request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Begin a connection's life."""
        self._life = Life(monotonic_us(), transport.get_extra_info("sockname")[1])
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note when it ended, whoever ended it."""
        self._life.lost_us = monotonic_us()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Stamp the request before it is handed to a task."""
        self.scope["state"][ARRIVED_US] = monotonic_us()
        self.scope["state"][CONNECTION] = self.transport
        self.scope["state"][LIFE] = self._life
        super().on_headers_complete()

    def shutdown(self) -> None:
        """End an idle connection at once: over TLS, waiting for the client's farewell would take seconds."""
        super().shutdown()
        if self.transport.is_closing():
            self.transport.abort()


def reset(connection: Connection) -> None:
    """Break a connection so that its client sees a reset."""
    connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    connection.abort()
