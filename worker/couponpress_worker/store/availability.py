"""Knows whether Redis answers this process, and tells once when it goes away and once when it is back.

When somebody got no answer, a write of our own is tried every 0.2 s. If that write fails, Redis is away until the write
succeeds; nobody asks for slots meanwhile. A write that is refused (no permission, no room for another client) fails as
well. The write must open a connection of its own: a server that has too many clients still serves the open ones.
When slots come from a server that was not seen before, the server counts as one that was away: it may have restarted
and lost its last writes. For one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import TypeVar

from redis.exceptions import NoPermissionError, RedisError

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.stopping import rest
from couponpress_worker.events import RedisAway, RedisBack, Tell, unheard
from couponpress_worker.rate.bucket import Grant, Wait

log = logging.getLogger(__name__)

#: How often a Redis that is away is tried.
TRY_EVERY_SECONDS = 0.2
#: Whoever wants slots looks again after so long; also for how long a failure that our own write does not share rests.
SLOTS_AGAIN_SECONDS = 0.2
#: After so many failures in a row that our own write does not share, the asker is left to say so itself.
FAILURES_IN_SILENCE = 3

Acquire = Callable[[int, bool], Awaitable[Grant | Wait]]
Result = TypeVar("Result")


class RedisWatch:
    """What a process knows of its Redis; everybody in it who gets no answer says so here.

    Attributes:
        returns: how often Redis was away and came back, counting cuts that were over at once; no slot of a Redis that
            is back is given before it is counted.
    """

    def __init__(
        self, write: Callable[[], Awaitable[object]], stopping: Callable[[], bool], tell: Tell = unheard
    ) -> None:
        """Take what the watch works with.

        Args:
            write: a write that changes nothing. It is to connect anew each time, as whoever got no answer must.
            stopping: whether the process is about to end: then nobody waits for Redis.
            tell: hears when Redis goes away, and when it is back.
        """
        self.returns = 0
        self._write = write
        self._stopping = stopping
        self._tell = tell
        self._server = b""
        self._back = asyncio.Event()
        self._answers = asyncio.Event()
        self._answers.set()
        self._stopped = asyncio.Event()
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether Redis does not answer just now."""
        return not self._answers.is_set()

    def away(self, error: Exception) -> None:
        """Note that Redis did not answer somebody; what is told is what our own write meets, if it fails too."""
        log.debug("Redis did not answer: %s", error)
        if self._trying is None and not self._stopped.is_set():
            self._answers.clear()
            self._trying = asyncio.create_task(self._try(), context=Context())

    async def until_answered(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat an act that may be repeated until Redis answers.

        A right that is missing is waited for in silence: the loops that miss it too tell of it, with the cure.

        Raises:
            redis.RedisError: it does not, and the process is about to end.
        """
        while True:
            try:
                return await act()
            except REDIS_AWAY as error:
                if self._stopping():
                    raise
                await self.back(error)
            except NoPermissionError:
                if self._stopping():
                    raise
                await asyncio.sleep(TRY_EVERY_SECONDS)

    async def back(self, error: Exception) -> None:
        """Note that Redis did not answer somebody, and wait until it does."""
        self.away(error)
        await asyncio.sleep(TRY_EVERY_SECONDS)
        await self.answering()

    async def answering(self, seconds: float | None = None) -> None:
        """Wait while Redis is away, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answers.wait()

    async def returned(self, seen: int, seconds: float) -> None:
        """Wait until Redis came back after `returns` was `seen`, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.returns == seen:
                    await self._back.wait()

    def patient(self, acquire: Acquire) -> Acquire:
        """Return `acquire` such that it gives no slots, and fails for nobody, while Redis is away."""
        failures = 0

        async def acquired(wanted: int, urgent: bool) -> Grant | Wait:
            nonlocal failures
            if not self._answers.is_set():
                await self.answering(SLOTS_AGAIN_SECONDS)
                return Wait(0.0)
            try:
                answer = await acquire(wanted, urgent)
            except (*REDIS_AWAY, OSError) as error:
                failures += 1
                if failures > FAILURES_IN_SILENCE:
                    raise
                self.away(error)
                return Wait(SLOTS_AGAIN_SECONDS)
            failures = 0
            if isinstance(answer, Grant) and answer.server != self._server:
                self._server = answer.server
                self._count_return()
            return answer

        return acquired

    async def close(self) -> None:
        """Try no more."""
        self._stopped.set()
        if self._trying is not None:
            await asyncio.wait([self._trying])

    async def _try(self) -> None:
        since, told = time.monotonic(), False
        while not self._stopped.is_set():
            try:
                await self._write()
            except (RedisError, OSError) as refusal:
                if not told:
                    # What the write meets itself is more to the point than what somebody else met before.
                    self._tell(RedisAway(str(refusal)))
                    told = True
                await rest(self._stopped, TRY_EVERY_SECONDS)
            else:
                break
        if told and not self._stopped.is_set():
            self._tell(RedisBack(time.monotonic() - since))
        self._count_return()
        self._trying = None
        self._answers.set()

    def _count_return(self) -> None:
        self.returns += 1
        self._back.set()
        self._back = asyncio.Event()
