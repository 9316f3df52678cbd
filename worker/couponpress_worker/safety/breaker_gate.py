"""Makes chunks and requests of a process wait while its breaker is open.

Chunks wait before they are leased, so that processes which reach the platform can take them. One chunk at a time goes
on, and its requests are the probes. For one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from contextlib import suppress

from couponpress.ledger.outage import PlatformDown
from couponpress_worker.events import BreakerClosed, BreakerOpened, Tell, unheard
from couponpress_worker.safety.breaker import Breaker, Pass
from couponpress_worker.timings import REAL, Timings
from couponpress_worker.wechatpay.client import NotSent, Reason
from couponpress_worker.wechatpay.judgement import Judgement, Retry

#: How often whoever waits looks whether the process stops; that is set from another thread.
LOOK_EVERY_SECONDS = 0.2


class Outage:
    """What a process knows of the platform's health, and the way through for its chunks and requests."""

    def __init__(
        self,
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        timings: Timings = REAL,
        tell: Tell = unheard,
    ) -> None:
        self._tell = tell
        self._breaker = Breaker(timings)
        self._stopping = stopping
        self._clock = clock
        self._changed = asyncio.Event()
        self._probers = 0
        self._since, self._reason, self._opened_at = 0.0, "", 0.0
        self._probing_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether requests are held back."""
        return self._breaker.is_open

    @property
    def told(self) -> PlatformDown | None:
        """What people are to be told; None while the platform is up."""
        return PlatformDown(self._since, self._reason) if self._breaker.is_open else None

    async def admit(self, probing_seconds: float) -> int | None:
        """Wait until a chunk may be taken in hand; returns what `leave` is to be told, or None when the process stops.

        While the breaker is open one chunk at a time may, for its probes; the next one when it has ended or after
        `probing_seconds`.
        """
        while not self._stopping():
            if not self._breaker.is_open:
                return 0
            if (rest := self._probing_until - self._clock()) <= 0:
                self._probing_until = self._clock() + probing_seconds
                self._probers += 1
                return self._probers
            await self._wait(rest)
        return None

    def leave(self, admitted: int) -> None:
        """Note that a chunk is out of hand: if it was the latest to probe, another one may."""
        if self._breaker.is_open and admitted == self._probers:
            self._probing_until = 0.0
            self._wake()

    def pass_now(self) -> Pass | None:
        """Return a pass for a request that is about to be sent; None while it has to wait for one."""
        given = self._breaker.ask(self._clock())
        return given if isinstance(given, Pass) else None

    async def pass_later(self, given_up: Callable[[], Reason | None]) -> Pass:
        """Wait for a pass.

        Raises:
            NotSent: the request was given up while it waited, for the reason that `given_up` returned.
        """
        while (reason := given_up()) is None:
            given = self._breaker.ask(self._clock())
            if isinstance(given, Pass):
                return given
            await self._wait(given)
        raise NotSent(reason)

    def unused(self, given: Pass | None) -> None:
        """Take back the pass of a request that was not sent."""
        if given is not None and self._breaker.is_open:
            self._breaker.unused(given)
            self._wake()

    def answered(self, given: Pass, spec: Hashable, judgement: Judgement) -> bool:
        """Hear what a request came to; returns whether it spends no try, for the platform is down."""
        now = self._clock()
        failed = isinstance(judgement, Retry)
        change = self._breaker.tell(given, spec, failed=failed, now=now)
        if change == "opened" and isinstance(judgement, Retry):
            self._since, self._reason, self._opened_at = time.time(), f"{judgement.code}: {judgement.message}", now
            self._tell(BreakerOpened(judgement.code, judgement.message))
        if change == "closed":
            self._tell(BreakerClosed(now - self._opened_at))
        if change == "closed" or (self._breaker.is_open and not failed):
            self._wake()
        return failed and self._breaker.spends_no_try(now)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, 0.001), LOOK_EVERY_SECONDS)):
                await self._changed.wait()
