"""Reads the bytes of a request, bounded in size and in time.

A caller that is silent for too long, or sends too slowly on the whole, is refused. A stream of lines may take long, as
long as lines come: only the time since its last line counts. The rest of a refused body is not read here: uvicorn reads
it and drops it, so that its sender can read the refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from starlette.types import Message, Receive

from couponpress.gateway.problems import Refusal

#: A caller that sends nothing for this long gets a timeout.
SILENCE_SECONDS = 30.0
#: The gateway waits so long for a whole body, or for the next line of a stream, and a second more for each so many
#: bytes of it that came.
BODY_SECONDS = 30.0
BYTES_PER_SECOND = 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TimedReceive:
    """ASGI's `receive` of one request, for a limited time and, if asked, for so many bytes.

    Only the time counts in which the gateway waits for the caller: a stream may take long to be stored.

    Args:
        receive: what the server gave.
        limit: the most bytes that the body may have; None where whoever reads it looks at that.
        by_line: whether the body is a stream of lines, which may come slowly for hours.
    """

    def __init__(self, receive: Receive, limit: int | None = None, *, by_line: bool = False) -> None:
        self._receive = receive
        self._limit = limit
        self._by_line = by_line
        self._seen = 0
        #: Bytes, and seconds of waiting, since the body or the stream's last line began.
        self._timed = 0
        self._waited = 0.0
        self._ended = False

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            Refusal: the body did not come in time, or is too large.
        """
        if self._ended:  # nothing but the end of the connection is awaited now
            return await self._receive()
        message = await self._next_message()
        piece = message.get("body", b"")
        self._seen += len(piece)
        self._timed += len(piece)
        if self._by_line and b"\n" in piece:
            self._timed, self._waited = 0, 0.0
        self._ended = not message.get("more_body", False)
        if self._limit is not None and self._seen > self._limit:
            raise Refusal("too-large", f"the body may have {self._limit} bytes")
        return message

    async def _next_message(self) -> Message:
        now = asyncio.get_running_loop().time
        since = now()
        allowed = BODY_SECONDS + self._timed / BYTES_PER_SECOND
        left = allowed - self._waited
        try:
            async with asyncio.timeout(min(SILENCE_SECONDS, left)):
                return await self._receive()
        except TimeoutError:
            if self._timed == 0 or left > SILENCE_SECONDS:
                told = f"nothing came for {SILENCE_SECONDS:g} s"
            elif self._by_line:
                told = f"no line of it ended in {allowed:.0f} s"
            else:
                told = f"{self._timed} bytes of it came in {allowed:.0f} s"
            raise Refusal("too-slow", told) from None
        finally:
            self._waited += now() - since


class Body:
    """The body of one request.

    Args:
        receive: ASGI's callable that returns its pieces.
        limit: the most bytes that it may have.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0
        self._ended = False

    async def next(self) -> bytes:
        """Return the next piece; b"" at the end.

        Raises:
            Refusal: it is too large, was cut off, or did not come in time.
        """
        piece = b""
        while not piece and not self._ended:
            piece = await self._next_message()
        self._seen += len(piece)
        if self._seen > self._limit:
            raise Refusal("too-large", f"the body may have {self._limit} bytes")
        return piece

    async def whole(self) -> bytes:
        """Return all of it. Raises what `next` raises."""
        first = await self.next()
        if self._ended:
            return first
        pieces = [first]
        while piece := await self.next():
            pieces.append(piece)
        return b"".join(pieces)

    async def _next_message(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Refusal("cut-off", "the connection ended before the body did")
        self._ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def lines_of(pull: Callable[[], bytes], limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each line that is not empty, counted from 1, and its bytes, from pieces of any size.

    Raises:
        Refusal: a line has more than `limit` bytes.
    """
    number, rest = 0, b""
    while piece := pull():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            yield from _line(number, line, limit)
        if len(rest) > limit:
            break
    yield from _line(number + 1, rest, limit)


def _line(number: int, line: bytes, limit: int) -> Iterator[tuple[int, bytes]]:
    if len(line) > limit:
        raise Refusal("too-large", f"line {number} has more than {limit} bytes; nothing was enqueued")
    line = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
    if line and not line.isspace():
        yield number, line
