"""The service `couponpress metrics`: GET /metrics for Prometheus, on a port of its own.

It takes no token, so it listens on this machine alone unless it is told otherwise, and it shows no id, no URL and no
name but those of schedules. It needs a producer's settings only, no key of the platform.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from couponpress.client import Client
from couponpress.language import serve_in_english
from couponpress.metrics.exposition import MEDIA_TYPE, exposition
from couponpress.settings import ProducerSettings
from couponpress.transport.listening import listen, url_of
from couponpress.transport.log_lines import log_to_stderr
from couponpress.transport.serve import serve as serve_app

log = logging.getLogger(__name__)

#: A scrape in hand has so long after TERM.
_STOP_SECONDS = 5


def application(client: Client) -> Starlette:
    """Return the ASGI application: one path."""

    async def metrics(_: Request) -> Response:
        text = await asyncio.to_thread(exposition, client)
        return Response(text, headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})

    async def elsewhere(_: Request) -> Response:
        return PlainTextResponse("Prometheus scrapes /metrics\n", 404)

    return Starlette(routes=[Route("/metrics", metrics), Route("/{path:path}", elsewhere)])


def serve(settings: ProducerSettings, *, host: str, port: int) -> None:
    """Serve until TERM or INT. Redis may be away: a scrape then says so.

    Raises:
        ListenError: the port is taken.
    """
    log_to_stderr(settings.log)
    with Client(settings) as client:
        sockets = listen(host, port)
        serve_in_english()
        log.info("metrics on %s/metrics", url_of(sockets[0]))
        serve_app(application(client), sockets, in_hand_seconds=_STOP_SECONDS)
