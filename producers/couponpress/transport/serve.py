"""Runs an ASGI application in the foreground until TERM or INT.

Every HTTP service of couponpress runs this way, with the same limits on connections and request heads. The sockets
listen before the application starts, so a service that says "ready" can be reached. uvicorn comes with the extras
`gateway` and `worker`; without it this module cannot be imported.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from couponpress.transport.bounded_http import BoundedProtocol, Bounds
from couponpress.transport.signals import ends_by


def serve(
    asgi: ASGIApp,
    sockets: Sequence[socket.socket],
    *,
    keep_alive_seconds: int = 5,
    in_hand_seconds: int | None = None,
    bounds: Bounds | None = None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve until TERM or INT, then return; closes the sockets.

    Args:
        asgi: the application; its lifespan is the service's.
        sockets: what `listen` returned.
        keep_alive_seconds: how long an idle connection is kept.
        in_hand_seconds: how long requests in hand may take once it is told to stop; None when they bound themselves.
        bounds: of connections and heads; None for the usual ones.
        on_stop: called on the loop when the service is told to stop, before requests in hand are waited for.

    Raises:
        Exception: whatever the lifespan raised when it started.
    """
    failures: list[Exception] = []
    server = server_of(
        _noting(asgi, failures),
        bounds or Bounds(),
        keep_alive_seconds=keep_alive_seconds,
        in_hand_seconds=in_hand_seconds,
        on_stop=on_stop,
    )
    try:
        with ends_by(lambda *_: None):  # uvicorn raises the signal again once it has shut down
            server.run(list(sockets))
    except SystemExit:
        if failures:
            raise failures[0] from None
        raise
    finally:
        for listener in sockets:
            listener.close()


def server_of(
    asgi: ASGIApp,
    bounds: Bounds,
    *,
    keep_alive_seconds: int = 5,
    in_hand_seconds: int | None = None,
    on_stop: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """Return uvicorn's server within bounds, for `serve`."""
    protocol = partial(BoundedProtocol, bounds=bounds)
    return _Server(
        on_stop,
        uvicorn.Config(
            asgi,
            loop="uvloop",
            http=cast(type[BoundedProtocol], protocol),  # uvicorn calls it, no more
            ws="none",
            lifespan="on",
            log_config=None,  # its lines go where all others go
            log_level="error",  # it warns of broken requests, with which anybody could fill a disk
            access_log=False,
            server_header=False,
            proxy_headers=False,  # callers are known by a token or a signature, not by their address
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=in_hand_seconds,
        ),
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it begins to stop: streams without an end would keep it from stopping."""

    def __init__(self, on_stop: Callable[[], None], config: uvicorn.Config) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, once streams were told to end."""
        self._on_stop()
        await super().shutdown(sockets)


def _noting(asgi: ASGIApp, failures: list[Exception]) -> ASGIApp:
    """Return the application; what its lifespan raises at the start is noted instead of printed with its trace."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await asgi(scope, receive, send)
            return
        started = False

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = started or message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                return  # what it raises comes next, and says more
            await send(message)

        try:
            await asgi(scope, receive, noting)
        except Exception as error:
            if started:
                raise
            failures.append(error)
            await send({"type": "lifespan.startup.failed", "message": ""})

    return app
