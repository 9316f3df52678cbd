"""A service in the foreground: one line per event to stderr, and an ASGI application served until TERM or INT.

Decides how every service of couponpress logs, speaks HTTP and stops. Refuses to know what is served. Loads uvicorn, so
it is for the extras `gateway` and `worker` alone.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp


def log_to_stderr() -> None:
    """Log as every service does: one line per event, to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def serve(
    asgi: ASGIApp, *, host: str, port: int, keep_alive_seconds: int = 5, in_hand_seconds: int | None = None
) -> None:
    """Serve until TERM or INT, and end as a service should: quietly, with exit code 0.

    Args:
        asgi: the application; its lifespan is the service's.
        host: the address to listen on.
        port: the port to listen on.
        keep_alive_seconds: how long an idle connection is kept.
        in_hand_seconds: how long requests in hand may take once it is told to stop; None when they bound themselves.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            asgi,
            host=host,
            port=port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who asks is told by a token or a signature, never by an address
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=in_hand_seconds,
        )
    )
    with _ends_quietly():
        server.run()


@contextmanager
def _ends_quietly() -> Iterator[None]:
    """Take the signal that uvicorn raises again once it has shut down."""

    def ignore(*_: object) -> None:
        return

    before: dict[int, Callable[..., object] | int | None] = {
        number: signal.signal(number, ignore) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
