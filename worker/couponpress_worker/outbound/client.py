"""An HTTP client that checks the address behind a name before it connects, and goes through a proxy where one is set.

A host's name may lead anywhere, into a private network or to a cloud's metadata service. So the name is resolved here,
every address that it has is checked, and the connection goes to one of the checked addresses: the name is not looked up
a second time. TLS still verifies the name. Through a proxy, CONNECT names the checked address too, also for plain http.

Redirects are never followed, and no connection is kept for a second request. Errors are httpx's, besides
RefusedAddressError.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import httpcore
import httpx

from couponpress.transport.proxy import Proxy, ProxyRule
from couponpress.transport.web_address import shown_url
from couponpress_worker.outbound.checked_backend import CheckedBackend, Forbids, Resolve, resolve_name

_watchers: list[Callable[[httpx.AsyncClient], None]] = []


def on_each_client(watch: Callable[[httpx.AsyncClient], None]) -> None:
    """Call `watch`, and no earlier one, with each client that is made from now on, so that its calls can be traced."""
    _watchers[:] = [watch]


def client(
    *,
    rule: ProxyRule,
    forbids: Forbids | None = None,
    proxy_resolves: bool = False,
    connections: int,
    seconds: float,
    headers: dict[str, str] | None = None,
    resolve: Resolve | None = None,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> httpx.AsyncClient:
    """Return a client for calls to addresses that somebody else wrote; it belongs to the loop that first uses it.

    Args:
        rule: which proxy a URL goes through.
        forbids: the check of every address that a name has; None checks nothing, and lets a proxy look names up.
        proxy_resolves: whether a proxy looks names up all the same; then only addresses in URLs are checked there.
        connections: the most that are open at once; httpx's pool becomes slow beyond some twenty.
        seconds: for each step of a call: connect, write, read; whoever bounds the whole call does so around it.
        headers: sent with every request; httpx's own are left out.
        resolve: looks names up; None asks the system.
        backend: opens connections to addresses; None opens real ones.
    """
    logging.getLogger("httpx").addFilter(_without_secrets)
    transport = _CheckedTransport(
        rule,
        connections,
        partial(
            CheckedBackend,
            forbids=forbids,
            resolve=resolve or resolve_name,
            backend=backend or httpcore.AnyIOBackend(),
            proxy_resolves=proxy_resolves,
        ),
    )
    made = httpx.AsyncClient(transport=transport, trust_env=False, timeout=seconds, follow_redirects=False)
    made.headers = httpx.Headers(headers)
    for watch in _watchers:
        watch(made)
    return made


class _CheckedTransport(httpx.AsyncBaseTransport):
    """httpcore's pools, one for each way out: direct, and one for each proxy."""

    def __init__(
        self,
        rule: ProxyRule,
        connections: int,
        backend_for: Callable[[Proxy | None], CheckedBackend],
    ) -> None:
        self._rule = rule
        self._connections = connections
        self._backend_for = backend_for
        self._pools: dict[Proxy | None, httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._pool(self._rule.proxy_for(str(request.url)))
        request_out = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _told_in_httpx_words():
            answer = await pool.handle_async_request(request_out)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def _pool(self, proxy: Proxy | None) -> httpcore.AsyncConnectionPool:
        if proxy not in self._pools:
            self._pools[proxy] = httpcore.AsyncConnectionPool(
                ssl_context=_ssl_context(),
                max_connections=self._connections,
                max_keepalive_connections=0,
                network_backend=self._backend_for(proxy),
            )
        return self._pools[proxy]


class _Body(httpx.AsyncByteStream):
    """An answer's body, which raises httpx's errors."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told_in_httpx_words():
            async for part in self._answer.aiter_stream():
                yield part

    async def aclose(self) -> None:
        with _told_in_httpx_words():
            await self._answer.aclose()


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


@contextmanager
def _told_in_httpx_words() -> Iterator[None]:
    """Raise an error of httpcore's as the one of the same name in httpx."""
    try:
        yield
    except Exception as error:
        word = getattr(httpx, type(error).__name__, None) if type(error).__module__.startswith("httpcore") else None
        if word is None:
            raise
        raise word(str(error)) from error


def _without_secrets(record: logging.LogRecord) -> bool:
    """Mask the URLs in httpx's own log lines: a query may hold a token."""
    if isinstance(record.args, tuple):
        record.args = tuple(shown_url(str(one)) if isinstance(one, httpx.URL) else one for one in record.args)
    return True
