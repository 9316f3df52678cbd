"""Sends each request of a gateway of several partners to the gateway of its partner, by the path: `/partners/ID/…`.

The gateway of a partner has its own tokens, its own connections and its own console, so what a token of one partner
asks for is looked up among that partner's data alone. It sees paths without the prefix. The description of the routes
is the same for all. `/v1/health` says that the process serves, whatever the Redis of one partner does: a probe must not
take the gateway away from the others. While there is one partner, the paths without a prefix are its as well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from couponpress.gateway.console.wiring import Console
from couponpress.gateway.problems import PAGE, Refusal
from couponpress.gateway.settings import GatewaySettings
from couponpress.stopping import rest

PREFIX = "/partners"
#: What is the same for every partner, and shown without a prefix.
SHARED = frozenset({PAGE, "/openapi.json"})
_PATH = re.compile(f"{PREFIX}/([0-9A-Za-z_-]+)(/.*)", re.DOTALL)


def prefix_of(mchid: str) -> str:
    """Return what stands before every path of a partner."""
    return f"{PREFIX}/{mchid}"


@dataclass(frozen=True)
class PartnerGateway:
    """The gateway of one partner, as it is served.

    Attributes:
        end: stores what is batched, when no more requests come.
        close: closes every connection, after `end`.
    """

    settings: GatewaySettings
    asgi: ASGIApp
    console: Console
    end: Callable[[], Awaitable[None]]
    close: Callable[[], None]


class PartnerGateways:
    """The ASGI application of several partners.

    Args:
        served: the partners' gateways by their ids; `begin` and `end` change it.
        opened: opens the gateway of a partner.
        lifetime: entered when the process starts to serve, left when it ends.
        linger_seconds: requests that a gateway has in hand when another takes its place may take so long.
    """

    def __init__(
        self,
        served: dict[str, PartnerGateway],
        opened: Callable[[GatewaySettings], PartnerGateway],
        lifetime: Callable[[], AbstractAsyncContextManager[None]],
        *,
        linger_seconds: float,
    ) -> None:
        self._served = served
        self._opened = opened
        self._lifespan = Starlette(lifespan=lambda _: lifetime())
        self._linger_seconds = linger_seconds
        self._stopping = asyncio.Event()
        self._lingering: set[asyncio.Task[None]] = set()

    async def begin(self, settings: GatewaySettings) -> None:
        """Serve a partner with these settings from now on.

        Raises:
            CouponpressError: they cannot be used; the partner is served as before.
        """
        made = await asyncio.to_thread(self._opened, settings)
        before, self._served[settings.mchid] = self._served.get(settings.mchid), made
        if before is not None:
            self._let_go(before)

    async def end(self, mchid: str) -> None:
        """Serve a partner no longer, if it is served."""
        if (before := self._served.pop(mchid, None)) is not None:
            self._let_go(before)

    async def stop(self) -> None:
        """End every gateway, for the process ends."""
        self._stopping.set()
        await asyncio.gather(*self._lingering, *(one.end() for one in self._served.values()))

    def close(self) -> None:
        """Close the connections of every gateway."""
        for one in self._served.values():
            one.close()

    def _let_go(self, one: PartnerGateway) -> None:
        task = asyncio.create_task(self._linger(one))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _linger(self, one: PartnerGateway) -> None:
        one.console.live.stop()
        await rest(self._stopping, self._linger_seconds)
        await one.end()
        await asyncio.to_thread(one.close)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process."""
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        found = _PATH.fullmatch(scope["path"])
        partner = found[1] if found else ""
        if found is not None and (gateway := self._served.get(partner)) is not None:
            cut = {**scope, "path": found[2]}
            with bound_contextvars(partner=partner):
                await gateway.asgi(cut, receive, send)
        elif self._served and (scope["path"] in SHARED or len(self._served) == 1):
            await next(iter(self._served.values())).asgi(scope, receive, send)
        elif scope["path"] == "/v1/health":
            await JSONResponse({"partners": len(self._served)})(scope, receive, send)
        else:
            refusal = Refusal("no-such-path", "the paths of a partner begin with /partners/ID")
            await refusal.response()(scope, receive, send)
