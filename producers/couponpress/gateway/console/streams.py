"""The routes that bring a part of a page up to date: as server-sent events, or fetched now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

import redis
from fastapi import APIRouter, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from couponpress.errors import CouponpressError
from couponpress.gateway.console.context import LoginNeededError, Looking, TheConsole, fragment, session_of, viewer_of
from couponpress.gateway.console.now import LATEST_SECONDS, columns
from couponpress.gateway.console.parts import part_of
from couponpress.gateway.console.viewer import Viewer
from couponpress.gateway.console.wiring import Console
from couponpress.gateway.store_troubles import store_troubles
from couponpress.language import current, gettext

router = APIRouter()

#: Parts that one page has at most.
MOST_PARTS = 4


@router.get("/parts/{name:path}")
async def fetch_part(request: Request, console: TheConsole, viewer: Looking, name: str) -> Response:
    """Return a part as HTML."""
    return Response(await _part(request, console, viewer, name), media_type="text/html; charset=utf-8")


@router.get("/live", response_class=EventSourceResponse)
async def stream_parts(
    request: Request,
    console: TheConsole,
    viewer: Looking,
    part: Annotated[list[str], Query(max_length=MOST_PARTS)],
) -> AsyncIterator[ServerSentEvent]:
    """Send parts whenever they change, until the browser goes away, the login ends or the server stops."""
    shown: dict[str, str] = {}
    while not console.live.stopped and not await request.is_disconnected():
        try:
            viewer = viewer_of(request, console, session_of(request, console))
            for name in part:
                text = await _part(request, console, viewer, name)
                if text != shown.get(name):
                    shown[name] = text
                    yield ServerSentEvent(event="part", data={"part": name, "html": text})
            if "now" in part:
                latest = columns(await asyncio.to_thread(console.overview.get), LATEST_SECONDS)
                yield ServerSentEvent(event="rate", data=latest)
        except LoginNeededError:
            yield ServerSentEvent(event="ended", data="login")
            return
        except (CouponpressError, redis.RedisError, OSError) as error:
            store_troubles.note(error)
            shown.clear()
            words = gettext("Redis does not answer; what this page shows may be old.")
            yield ServerSentEvent(event="trouble", data=words)
        await console.live.rest()


async def _part(request: Request, console: Console, viewer: Viewer, name: str) -> str:
    """Return a part's text, the same for everybody who may see the same."""

    def read() -> str:
        template, values = part_of(console, viewer, name)
        return fragment(request, template, **values)

    key = (name, current(), viewer.role, viewer.token.brands, viewer.token.namespace)
    return await console.live.part(key, partial(asyncio.to_thread, read))
