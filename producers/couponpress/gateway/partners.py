"""Sends each request of a gateway of several partners to the gateway of its partner, by the path: `/partners/ID/…`.

The gateway of a partner has its own tokens, its own connections and its own console, so what a token of one partner
asks for is looked up among that partner's data alone. It sees paths without the prefix. The description of the routes
is the same for all. `/v1/health` says that the process serves, whatever the Redis of one partner does: a probe must not
take the gateway away from the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from couponpress.gateway.problems import PAGE, Refusal

PREFIX = "/partners"
#: What is the same for every partner, and shown without a prefix.
SHARED = frozenset({PAGE, "/openapi.json"})
_PATH = re.compile(f"{PREFIX}/([0-9A-Za-z_-]+)(/.*)", re.DOTALL)


def prefix_of(mchid: str) -> str:
    """Return what stands before every path of a partner."""
    return f"{PREFIX}/{mchid}"


class PartnerGateways:
    """The ASGI application of several partners.

    Args:
        gateways: the partners' gateways by their ids.
        lifetime: entered when the process starts to serve, left when it ends.
    """

    def __init__(
        self, gateways: Mapping[str, ASGIApp], lifetime: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        self._gateways = gateways
        self._lifespan = Starlette(lifespan=lambda _: lifetime())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process."""
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        found = _PATH.fullmatch(scope["path"])
        partner = found[1] if found else ""
        if found is not None and (gateway := self._gateways.get(partner)) is not None:
            cut = {**scope, "path": found[2]}
            with bound_contextvars(partner=partner):
                await gateway(cut, receive, send)
        elif scope["path"] in SHARED:
            await next(iter(self._gateways.values()))(scope, receive, send)
        elif scope["path"] == "/v1/health":
            await JSONResponse({"partners": len(self._gateways)})(scope, receive, send)
        else:
            refusal = Refusal("no-such-path", "the paths of a partner begin with /partners/ID")
            await refusal.response()(scope, receive, send)
