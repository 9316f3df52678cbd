"""Ends requests whose answer takes too long: one timer for all connections, set to the deadline that comes first.

Hundreds of requests a second leave with the same patience, and hardly any uses it up. A timer of its own for each would
be set and cancelled every time. This one wakes when the first deadline comes, finds that nearly all were answered, and
is set to the first one that is left.

A process that waited for a core finds a deadline past and the answer unread. So a request is given up only when the
event loop has been through all that has come since it saw the deadline past.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

import httpx

from couponpress_worker.wechatpay.connection import Connection

#: Event loops round their timers to milliseconds: a shorter wait may be none at all.
TICK_SECONDS: Final = 0.001


class Patience:
    """The deadlines of the requests under way; for one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[Connection, tuple[float, float]] = {}
        self._past: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def begin(self, connection: Connection, seconds: float) -> None:
        """Close the connection with `httpx.ReadTimeout` after so long, unless `end` comes first."""
        deadline = self._loop.time() + seconds
        self._deadlines[connection] = (deadline, seconds)
        if deadline < self._timer_at:
            self._set(deadline)

    def end(self, connection: Connection) -> None:
        """Note that its request is over."""
        self._deadlines.pop(connection, None)

    def close(self) -> None:
        """Let nothing wake any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._deadlines.clear()

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(max(at, self._loop.time() + TICK_SECONDS), self._look)

    def _look(self) -> None:
        now = self._loop.time()
        past = {connection for connection, (deadline, _) in self._deadlines.items() if deadline <= now}
        for connection in past & self._past:
            _, seconds = self._deadlines.pop(connection)
            connection.close(httpx.ReadTimeout(f"no whole answer within {seconds:g} s"))
        self._past = past - self._past
        self._timer, self._timer_at = None, inf
        if self._deadlines:
            self._set(min(deadline for deadline, _ in self._deadlines.values()))
