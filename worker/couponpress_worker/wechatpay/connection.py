"""One HTTP/1.1 connection to the platform: a request's bytes out, one whole response in.

Decides when a response is whole, and whether the connection may carry another request. Refuses to know what is sent,
who waits for a connection (`pool`), and what a response means. Nothing is ever sent by itself: not a second time, not
to another address. The bytes of a response are read by llhttp, through httptools; the rules are those of RFC 9112.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final, cast

import httptools
from multidict import CIMultiDict

#: The platform's answers have some hundred bytes, its list of certificates some ten thousand.
MOST_BYTES: Final = 1_000_000


class BrokenExchangeError(Exception):
    """A request's bytes may have left, and there is no whole response to them."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response, as it came but for its transfer and content coding."""

    status: int
    headers: CIMultiDict[str]
    body: bytes


class Connection(asyncio.Protocol):
    """An open connection; for one event loop, and one request at a time.

    Attributes:
        last_sent: when it carried a request last, or was made, on the event loop's clock. The far end counts its rest
            from there, however often it was taken in hand since.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.last_sent = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._body: list[bytes] = []
        self._size = 0
        self._ends_with_connection = False

    @property
    def usable(self) -> bool:
        """Whether it is open, and nothing is under way on it."""
        return self._transport is not None and self._waiter is None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Put a request on the wire in this turn of the event loop; the future ends as `Response`.

        The future raises BrokenExchangeError when the connection breaks, or what came is no HTTP. Who stops waiting
        for it must close the connection.
        """
        if self._transport is None or not self.usable:
            raise RuntimeError("a request may only be sent on a usable connection")
        self._waiter = self._loop.create_future()
        self._size = 0
        self.last_sent = self._loop.time()
        self._transport.write(request)
        return self._waiter

    def close(self, why: str = "closed") -> None:
        """Drop the connection now; what is under way ends without an answer, told why."""
        if self._transport is not None:
            self._transport.abort()
        self._break(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hear from the event loop that the connection is open."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear from the event loop that the connection is closed."""
        self._transport = None
        if exc is None and self._ends_with_connection:
            self._finish()
        self._break(str(exc) if exc and str(exc) else "the connection broke before an answer came")

    def data_received(self, data: bytes) -> None:
        """Hear from the event loop what the far end sent."""
        self._size += len(data)
        if self._size > MOST_BYTES:
            self.close(f"an answer of more than {MOST_BYTES} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close(f"what came back is no HTTP answer ({error})")

    # What httptools calls while it reads.

    def on_message_begin(self) -> None:
        """Forget the message before; what nobody asked for ends the connection."""
        if self._waiter is None:
            self.close()
        self._headers = CIMultiDict()
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; bytes that are no text stay recognisable."""
        self._headers.add(name.decode("latin-1"), value.decode(errors="surrogateescape"))

    def on_headers_complete(self) -> None:
        """Notice a response that has no length of its own."""
        self._ends_with_connection = not ("Content-Length" in self._headers or "Transfer-Encoding" in self._headers)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the response on, unless it is an interim one (RFC 9110 section 15.2)."""
        if self._parser.get_status_code() >= 200:
            self._finish()

    def _finish(self) -> None:
        self._ends_with_connection = False
        waiter, self._waiter = self._waiter, None
        if self._transport is not None and not self._may_go_on(self._transport):
            self.close()
        if waiter is None or waiter.done():
            return
        try:
            body = _decoded(b"".join(self._body), self._headers.get("Content-Encoding", "identity"))
        except (zlib.error, ValueError) as error:
            waiter.set_exception(BrokenExchangeError(f"an answer whose body cannot be decoded ({error})"))
        else:
            waiter.set_result(Response(self._parser.get_status_code(), self._headers, body))

    def _may_go_on(self, transport: asyncio.Transport) -> bool:
        """Whether the far end keeps the connection open, and has taken the whole request."""
        return bool(self._parser.should_keep_alive()) and not transport.get_write_buffer_size()

    def _break(self, why: str) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(BrokenExchangeError(why))


def _decoded(body: bytes, coding: str) -> bytes:
    """Return the body without its content coding; none is asked for, but what lies in between may add one.

    Raises:
        ValueError: another coding, or more than MOST_BYTES.
        zlib.error: it is not what it says.
    """
    if coding.lower() in ("identity", "") or not body:
        return body
    if coding.lower() not in ("gzip", "x-gzip"):
        raise ValueError(f"its coding is {coding[:40]!r}")
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    plain = decoder.decompress(body, MOST_BYTES)
    if not decoder.eof:
        raise ValueError("it is cut, or too long")
    return plain
