"""One connection to Redis on which the commands of many callers are under way at once.

redis-py takes a connection out of a pool for each command, waits with one timer for the write and one for the read,
and counts all of it: half a millisecond of CPU, a hundred times a second. So redis-py opens the connection (login, TLS,
Sentinels), and this module takes its socket over. hiredis packs commands and reads the replies, which come in order.
A line that breaks ends every command under way with redis-py's `ConnectionError`; whether Redis executed one of them is
not known then. `SharedLine` opens the next line when it is wanted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import hiredis
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from couponpress.language import gettext

#: Stands for "the reply is not whole yet"; None is a reply.
_NOT_WHOLE: Final = object()


def packed(args: Sequence[Any]) -> bytes:
    """Return a command as Redis reads it; the words of its name may stand in one text.

    Raises:
        redis.DataError: an argument is of a kind that Redis does not know.
    """
    name, *rest = args
    words = name.split() if isinstance(name, str) else [name]
    try:
        command: bytes = hiredis.pack_command((*words, *rest))
    except TypeError as error:
        raise DataError(f"Invalid input for {words[0]}: {error}") from None
    return command


def takeable(kind: type[Any]) -> type[Any]:
    """Return the class of redis-py's connections that lets its open socket be taken over."""

    class Takeable(kind):  # type: ignore[misc]  # any of redis-py's classes
        def take_over(self) -> tuple[asyncio.StreamWriter, Callable[[str], ResponseError]]:
            """Return the open stream, and what makes redis-py's errors; this object knows nothing of it any more."""
            stream: asyncio.StreamWriter = self._writer  # type: ignore[has-type]  # set by redis-py
            self._reader = self._writer = None
            self._parser.on_disconnect()
            return stream, self._parser.parse_error

    return Takeable


@dataclass(slots=True)
class _Asked:
    """Commands that were sent together, and the replies that came so far."""

    wanted: int
    answered: asyncio.Future[list[Any]]
    at: float
    replies: list[Any] = field(default_factory=list)


class Line(asyncio.Protocol):
    """An open connection; for one event loop. One timer serves all commands under way.

    Attributes:
        heard_at: when Redis answered last, on the event loop's clock.
        closed: done once the connection is closed.
    """

    def __init__(self, stream: asyncio.StreamWriter, error_of: Callable[[str], ResponseError], seconds: float) -> None:
        self._stream, self._seconds = stream, seconds
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=error_of, notEnoughData=_NOT_WHOLE)
        self._waiting: deque[_Asked] = deque()
        self._retired = self._closed = False
        self.heard_at = self._loop.time()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        stream.transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """Whether another command may be sent."""
        return not (self._retired or self._closed or self._stream.transport.is_closing())

    async def ask(self, command: bytes, replies: int) -> list[Any]:
        """Send packed commands in this turn of the event loop, and return their replies; a refusal is one of them.

        Raises:
            redis.ConnectionError: the line broke.
            redis.TimeoutError: Redis did not answer in time. The line is closed.
        """
        if self._stream.transport.is_closing():  # since the caller was given this line
            raise RedisConnectionError("the connection was closed")
        asked = _Asked(replies, self._loop.create_future(), self._loop.time())
        self._waiting.append(asked)
        self._stream.transport.write(command)
        if self._timer is None and self._seconds < inf:
            self._timer = self._loop.call_later(self._seconds, self._look, context=Context())
        return await asked.answered

    def retire(self) -> None:
        """Send nothing more on this line, and close it once everything that was sent is answered."""
        self._retired = True
        self._close_if_done()

    def close(self, why: str = "the connection was closed") -> None:
        """Close the line now; what is under way ends with `why`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._stream.transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for asked in waiting:
            if not asked.answered.done():
                asked.answered.set_exception(RedisConnectionError(why))

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear from the event loop that the connection is closed."""
        self.close(f"Connection closed by server. {exc or ''}".rstrip())
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand each reply to the commands that it belongs to."""
        self.heard_at = self._loop.time()
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOT_WHOLE:
                if not isinstance(reply, hiredis.PushNotification):
                    self._take(reply)
        except InvalidResponse as error:
            self.close(f"Redis answered with what is no reply: {error}")
        self._close_if_done()

    def _take(self, reply: object) -> None:
        if not self._waiting:
            raise InvalidResponse("nobody asked for it")
        asked = self._waiting[0]
        asked.replies.append(reply)
        if len(asked.replies) == asked.wanted:
            self._waiting.popleft()
            if not asked.answered.done():
                asked.answered.set_result(asked.replies)

    def _look(self) -> None:
        """Close the line if somebody has waited for so long; else look again when that can be."""
        self._timer = None
        waiting = [asked for asked in self._waiting if not asked.answered.done()]
        if waiting and (rest := waiting[0].at + self._seconds - self._loop.time()) > 0:
            self._timer = self._loop.call_later(rest, self._look, context=Context())
        elif waiting:
            told = gettext("Redis did not answer within %(seconds)s s") % {"seconds": f"{self._seconds:g}"}
            waiting[0].answered.set_exception(RedisTimeoutError(told))
            self.close("Redis did not answer in time")

    def _close_if_done(self) -> None:
        if self._retired and not self._waiting and not self._closed:
            self.close()


class SharedLine:
    """The line of a client: opened when it is first used, and anew after it broke; for one event loop."""

    def __init__(self, pool: ConnectionPool) -> None:
        """Take a pool whose connections are `takeable`. Its options say how long to wait, and when to check a line."""
        options = pool.connection_kwargs
        self._pool = pool
        self._seconds: float = options.get("socket_timeout") or inf
        self._check_after: float = options.get("health_check_interval") or 0
        #: How often a command is sent again when the line broke; whoever sends one lets it be repeated then.
        self._repeats: int = options["retry"].get_retries()
        self._line: Line | None = None
        self._opening: asyncio.Task[Line] | None = None

    async def ask(self, command: bytes, replies: int, refused: Callable[[Any], Exception | None]) -> list[Any]:
        """Send packed commands and return their replies, on another line when the first one broke.

        Args:
            command: one command or several.
            replies: how many.
            refused: returns the error that a reply stands for if the server takes nothing on this line for now.

        Raises:
            redis.ConnectionError: the line broke, or cannot be opened.
            redis.TimeoutError: Redis did not answer in time.
        """
        for repeats_left in range(self._repeats, -1, -1):
            try:
                line = await self._usable()
                answered = await line.ask(command, replies)
                for reply in answered:
                    if (error := refused(reply)) is not None:
                        line.retire()
                        raise error
            except RedisConnectionError:
                if not repeats_left:
                    raise
            else:
                return answered
        raise AssertionError

    async def aclose(self) -> None:
        """Close the line, and wait until it is closed."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._line is not None:
            self._line.close()
            await asyncio.wait([self._line.closed], timeout=1)  # a line that was opened dead hears of no end

    async def _usable(self) -> Line:
        line = self._line
        if line is None or not line.usable:
            return await self._opened()
        if self._check_after and asyncio.get_running_loop().time() - line.heard_at > self._check_after:
            try:
                await line.ask(packed(("PING",)), 1)
            except (RedisConnectionError, RedisTimeoutError):
                return await self._opened()
        return line

    async def _opened(self) -> Line:
        """Return a new line; whoever wants one meanwhile gets the same."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), context=Context())
            self._opening.add_done_callback(_heard)
        return await asyncio.shield(self._opening)

    async def _open(self) -> Line:
        connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        stream, error_of = connection.take_over()
        self._line = Line(stream, error_of, self._seconds)
        return self._line


def _heard(opening: asyncio.Task[Line]) -> None:
    """Take note of an error that nobody may wait for any more."""
    if not opening.cancelled():
        opening.exception()
