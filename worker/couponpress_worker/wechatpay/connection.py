"""One HTTP/1.1 connection to the platform: it sends a request's bytes and reads one whole response.

A connection carries one request at a time. It never sends anything by itself: not a second time, not to another host.
llhttp reads the response (through httptools), by the rules of RFC 9112. What goes wrong after the bytes have left ends
as one of httpx's exceptions: `ReadError` when the connection breaks, `RemoteProtocolError` when what came back is no
usable HTTP response. In both cases the platform may have done what the request asked for.

A tunnel is what a connection through a proxy begins as: it asks the proxy to connect to the host, and no request of
ours has left by then.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final, cast

import httptools
import httpx

from couponpress.transport.proxy import (
    ANSWER_LIMIT_BYTES,
    Proxy,
    connect_objection,
    connect_request,
    stalled,
)
from couponpress_worker.wechatpay.message import RawHeaders, Response

#: The platform's answers have some hundred bytes, its list of certificates some ten thousand.
MOST_BYTES: Final = 1_000_000


class Connection(asyncio.Protocol):
    """An open connection, for one event loop.

    Attributes:
        last_sent: when it last carried a request, or was opened, in seconds of the event loop's clock. The far end
            closes an idle connection some time after that moment, however often we took it from the pool since.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.last_sent = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self._headers: RawHeaders = []
        self._body: list[bytes] = []
        self._size = 0
        self._head_is_whole = False

    @property
    def usable(self) -> bool:
        """Whether it is open, and nothing is under way on it."""
        return self._transport is not None and self._waiter is None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Write a request in this turn of the event loop. The future's result is the whole response.

        Whoever stops waiting for the future must close the connection. The future raises:
            httpx.ReadError: the connection broke.
            httpx.RemoteProtocolError: what came back is no HTTP response, is too long, or cannot be decoded.
            httpx.TransportError: what `close` was told.

        Raises:
            httpx.ConnectError: the far end has closed the connection; nothing was sent.
        """
        if self._transport is None or not self.usable:
            raise httpx.ConnectError("the far end closed the connection while it waited for its slot")
        self._waiter = self._loop.create_future()
        self._size = 0
        self.last_sent = self._loop.time()
        self._transport.write(request)
        return self._waiter

    def close(self, error: httpx.TransportError | None = None) -> None:
        """Drop the connection now. A request under way ends with `error`."""
        if self._transport is not None:
            self._transport.abort()
        self._break(error or httpx.ReadError("closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hear from the event loop that the connection is open."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear from the event loop that the connection is closed."""
        self._transport = None
        if exc is None and self._head_is_whole and self._has_no_length():
            self._finish()
        self._break(httpx.ReadError(str(exc) if exc and str(exc) else "the connection broke before an answer came"))
        del self._parser  # the two refer to each other: else both would wait for the garbage collector

    def data_received(self, data: bytes) -> None:
        """Hear from the event loop what the far end sent."""
        self._size += len(data)
        if self._size > MOST_BYTES:
            self.close(httpx.RemoteProtocolError(f"an answer of more than {MOST_BYTES} bytes"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close(httpx.RemoteProtocolError(f"what came back is no HTTP answer ({error})"))

    # What httptools calls while it reads.

    def on_message_begin(self) -> None:
        """Begin a new message. A message that nobody asked for ends the connection."""
        if self._waiter is None:
            self.close()
        self._headers = []
        self._body = []
        self._head_is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, its name in lower case."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Note that only the body may be missing."""
        self._head_is_whole = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the response on, unless it is an interim one (RFC 9110 section 15.2)."""
        if self._parser.get_status_code() >= 200:
            self._finish()

    def _finish(self) -> None:
        self._head_is_whole = False
        waiter, self._waiter = self._waiter, None
        if self._transport is not None and not self._may_go_on(self._transport):
            self.close()
        if waiter is None or waiter.done():
            return
        try:
            headers, body = _decoded(self._headers, b"".join(self._body))
        except (zlib.error, ValueError) as error:
            waiter.set_exception(httpx.RemoteProtocolError(f"an answer whose body cannot be decoded ({error})"))
        else:
            parser = self._parser
            waiter.set_result(Response(parser.get_status_code(), headers, body, parser.get_http_version()))

    def _has_no_length(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112 section 6.3)."""
        return not {b"content-length", b"transfer-encoding"}.intersection(name for name, _ in self._headers)

    def _may_go_on(self, transport: asyncio.Transport) -> bool:
        """Whether the far end keeps the connection open and has read the whole request."""
        return bool(self._parser.should_keep_alive()) and not transport.get_write_buffer_size()

    def _break(self, error: httpx.TransportError) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


class Tunnel(asyncio.Protocol):
    """Asks a proxy for a connection to a host by CONNECT. When it is open, another protocol takes over."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._proxy, self._host, self._port = proxy, host, port
        self._answer: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self._head = b""
        self._transport: asyncio.Transport | None = None

    async def opened(self, deadline: float, seconds: float) -> asyncio.Transport:
        """Return the transport that leads to the host.

        Args:
            deadline: when to give up, on the event loop's clock.
            seconds: how long that is, for the error.

        Raises:
            httpx.ProxyError: the proxy refused, hung up, does not answer, or does not speak HTTP.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await self._answer
        except TimeoutError:
            raise httpx.ProxyError(stalled(self._proxy, seconds)) from None

    def close(self) -> None:
        """Give the tunnel up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the CONNECT request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(connect_request(self._proxy, self._host, self._port))

    def data_received(self, data: bytes) -> None:
        """Read the proxy's answer. The host speaks only after us, so nothing may follow it."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= ANSWER_LIMIT_BYTES:
            return
        objection = connect_objection(self._proxy, self._head)
        if objection is None and end != len(self._head) - 4:
            objection = f"the proxy {self._proxy.shown} sent more than an answer to CONNECT"
        self._end(objection)

    def connection_lost(self, exc: Exception | None) -> None:
        """Name what the proxy sent before it closed the connection."""
        cut = f"the proxy {self._proxy.shown} closed the connection in the middle of its answer ({exc or 'closed'})"
        self._end(connect_objection(self._proxy, self._head) or cut)

    def _end(self, objection: str | None) -> None:
        if self._answer.done() or self._transport is None:
            return
        if objection is None:
            self._answer.set_result(self._transport)
        else:
            self._answer.set_exception(httpx.ProxyError(objection))


def _decoded(headers: RawHeaders, body: bytes) -> tuple[RawHeaders, bytes]:
    """Return a response's headers and body without its content coding, as the platform signed it.

    No coding is asked for, but a proxy in between may add one.

    Raises:
        ValueError: the coding is not gzip, or the body is longer than MOST_BYTES.
        zlib.error: the body is no gzip.
    """
    coding = dict(headers).get(b"content-encoding", b"").lower()
    if coding in (b"identity", b"") or not body:
        return headers, body
    if coding not in (b"gzip", b"x-gzip"):
        raise ValueError(f"its coding is {coding[:40].decode('latin-1')!r}")
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    plain = decoder.decompress(body, MOST_BYTES)
    if not decoder.eof:
        raise ValueError("it is cut, or too long")
    return [one for one in headers if one[0] not in (b"content-encoding", b"content-length")], plain
