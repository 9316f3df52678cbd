"""Carries requests to the platform over our own connections; any httpx client may use it as its transport.

A request may bring a gate (for httpx: `request.extensions["gate"]`), a coroutine function that is awaited with a
connection in hand and nothing written. When it returns, the bytes leave in the same turn of the event loop; when it
raises, nothing was sent and the connection is kept. A request is sent once at most: nothing is repeated here.

Errors say whether anything was sent. The classes in `NOT_SENT` mean that no byte left. Every other httpx error
(`ReadTimeout`, `ReadError`, `RemoteProtocolError`) means that the platform may have done what was asked for.

Several hosts: when the first cannot be reached, the next one that can is used. Meanwhile a connection to the first is
tried every `FIRST_AGAIN_SECONDS`, without a request, and once it opens the first is used again. Why this is not
httpx's own transport: docs/design.md.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Protocol, TypeAlias

import httpx

from couponpress.transport.proxy import ProxyRule
from couponpress_worker.wechatpay.connection import Connection
from couponpress_worker.wechatpay.message import OfHttpx, Response
from couponpress_worker.wechatpay.patience import Patience
from couponpress_worker.wechatpay.pool import Pool

log = logging.getLogger(__name__)

#: Returns at the moment when the request may leave, or raises.
Gate: TypeAlias = Callable[[], Awaitable[None]]

#: The extension of a request that holds its gate.
GATE: Final = "gate"
NO_PROXIES: Final = ProxyRule()
#: Errors after which it is certain that nothing was sent.
NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
#: Errors of a host that cannot be reached.
_UNREACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
#: How long another host is used before a connection to the first is tried again.
FIRST_AGAIN_SECONDS: Final = 30.0


class Sendable(Protocol):
    """A request that can be written down for any host."""

    def wire(self, host: bytes) -> bytes:
        """Return the bytes to send."""


class PlatformTransport(httpx.AsyncBaseTransport):
    """Calls one host of the platform, or others in its place. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        base_url: str,
        *,
        fallback_urls: Sequence[str] = (),
        ssl_context: ssl.SSLContext | None = None,
        connections: int = 1000,
        connect_seconds: float = 5.0,
        answer_seconds: float = 10.0,
        keep_alive_seconds: float = 5.0,
        first_again_seconds: float = FIRST_AGAIN_SECONDS,
        proxies: ProxyRule = NO_PROXIES,
    ) -> None:
        """Keep the values; no connection is opened yet.

        Args:
            base_url: scheme and host that requests are made for.
            fallback_urls: scheme and host of those that are used while it cannot be reached, in this order.
            ssl_context: whom to trust; None trusts the system's authorities.
            connections: the most that are open to one host; a request beyond them waits for one.
            connect_seconds: how long a free connection, the name, TCP and TLS may take together. A request's
                `timeout` extension (connect) comes before it.
            answer_seconds: from the moment when the bytes leave to the end of the answer. A request's `timeout`
                extension (read) comes before it.
            keep_alive_seconds: how long an idle connection is used again; the platform closes it after 8 s.
            first_again_seconds: how long a fallback is used before the first host is tried again.
            proxies: says which proxy a host is called through; without it each is called directly.
        """
        self._urls = [httpx.URL(url) for url in (base_url, *fallback_urls)]
        self._hosts = [url.netloc for url in self._urls]
        self._origin = (self._urls[0].scheme, self._urls[0].host, self._urls[0].port)
        self._ssl_context = ssl_context
        self._connections = connections
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._keep_alive_seconds = keep_alive_seconds
        self._first_again_seconds = first_again_seconds
        self._proxies = proxies
        self._used = 0
        self._first_again_at = 0.0
        self._return: asyncio.Task[None] | None = None
        self.pools: list[Pool] = []
        """One for each host, in order; empty before the first request."""

    async def exchange(
        self,
        request: Sendable,
        gate: Gate | None = None,
        *,
        answer_seconds: float | None = None,
        connect_seconds: float | None = None,
    ) -> Response:
        """Send a request once and return the whole response.

        Args:
            request: what is sent.
            gate: awaited right before the bytes leave; see the module.
            answer_seconds: from the moment when the bytes leave to the end of the answer; None is the transport's own.
            connect_seconds: for a free connection; None is the transport's own.

        Raises:
            httpx.ConnectError: no host can be reached, or the far end closed the connection before the bytes left.
            httpx.ConnectTimeout, httpx.PoolTimeout: there was no connection in time.
            httpx.ProxyError: the proxy opens no connection to the host.
            httpx.LocalProtocolError: the request cannot be written down.
            httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError: it was sent, and there is no whole answer.
        """
        pool, host, connection = self._taken_now() or await self._taken(connect_seconds)
        try:
            wire = request.wire(host)
            if gate is not None:
                await gate()
            answer = connection.send(wire)
            self._patience.begin(connection, answer_seconds or self._answer_seconds)
            try:
                return await answer
            finally:
                self._patience.end(connection)
        finally:
            pool.give_back(connection)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an httpx client as `exchange` does.

        Raises:
            httpx.UnsupportedProtocol: the request is for another host, or of a kind that is not used here.
            httpx.TransportError: the same as `exchange`.
        """
        self._check(request)
        await request.aread()
        timeout = request.extensions.get("timeout") or {}
        response = await self.exchange(
            OfHttpx(request),
            request.extensions.get(GATE),
            answer_seconds=timeout.get("read"),
            connect_seconds=timeout.get("connect"),
        )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=httpx.ByteStream(response.body),
            extensions={"http_version": b"HTTP/" + response.http_version.encode()},
        )

    async def aclose(self) -> None:
        """Close every connection. Requests under way end with `httpx.ReadError`."""
        if self._return is not None:
            self._return.cancel()
        for pool in self.pools:
            pool.close()
        if self.pools:
            self._patience.close()

    def _check(self, request: httpx.Request) -> None:
        """Refuse what must not leave: a signed request to another host, or an answer that cannot be read."""
        url = request.url
        if (url.scheme, url.host, url.port) != self._origin:
            raise httpx.UnsupportedProtocol(f"{url.host} is not the platform's host ({self._urls[0].host}).")
        if request.method in ("HEAD", "CONNECT"):
            raise httpx.UnsupportedProtocol(f"{request.method} is not used with the platform.")

    def _taken_now(self) -> tuple[Pool, bytes, Connection] | None:
        """Return an idle connection to the first host; None when there is none, or another host is in use."""
        if self._used or not self.pools or (connection := self.pools[0].take_now()) is None:
            return None
        return self.pools[0], self._hosts[0], connection

    async def _taken(self, seconds: float | None) -> tuple[Pool, bytes, Connection]:
        """Return a connection to the host in use or, if that cannot be reached, to the next one that can."""
        pools = self.pools or self._opened()
        if self._used and self._return is None and asyncio.get_running_loop().time() >= self._first_again_at:
            self._return = asyncio.create_task(self._try_first(pools[0]), context=Context())
        began = self._used
        try:
            return pools[began], self._hosts[began], await pools[began].take(seconds)
        except _UNREACHED as error:
            failures: list[httpx.TransportError] = [error]
        for index, pool in [one for one in enumerate(pools) if one[0] != began]:
            try:
                connection = await pool.take(seconds)
            except _UNREACHED as error:
                failures.append(error)
                continue
            self._use(index, failures[0])
            return pool, self._hosts[index], connection
        if len(failures) == 1:
            raise failures[0]
        raise httpx.ConnectError("; ".join(map(str, failures)))

    def _use(self, index: int, why: httpx.TransportError) -> None:
        """Send to another host from now on; many requests find out at the same time, and the first one says so."""
        if index != self._used:
            log.warning("requests go to %s now: %s", self._urls[index].host, why)
            self._first_again_at = asyncio.get_running_loop().time() + self._first_again_seconds
            self._used = index

    async def _try_first(self, pool: Pool) -> None:
        """Open a connection to the first host; when it opens, requests go there again."""
        try:
            pool.give_back(await pool.take())
        except (*_UNREACHED, httpx.PoolTimeout):
            self._first_again_at = asyncio.get_running_loop().time() + self._first_again_seconds
        else:
            self._used = 0
            log.info("requests go to %s again", self._urls[0].host)
        finally:
            self._return = None

    def _opened(self) -> list[Pool]:
        """Make the pools, on first use: the system's authorities take a while to load."""
        secure = any(url.scheme == "https" for url in self._urls)
        context = (self._ssl_context or ssl.create_default_context()) if secure else None
        self._patience = Patience()
        self.pools = [
            Pool(
                url.host,
                url.port or (443 if url.scheme == "https" else 80),
                context if url.scheme == "https" else None,
                most=self._connections,
                connect_seconds=self._connect_seconds,
                keep_alive_seconds=self._keep_alive_seconds,
                proxy=self._proxies.proxy_for(str(url)),
            )
            for url in self._urls
        ]
        return self.pools
