"""Reports to the fleet, through Redis, what the platform's answers say about its real limit.

A process reports a refusal ("too fast") at once and further ones together. After each cut of the pace it reports how
many of its own requests the platform had accepted in the second before. `adaptive.lua` decides for all processes what
follows; `bucket.lua` gives slots accordingly.

A platform that refuses a request has taken as many as its limit allows in the second before it, whichever request it
is. So the processes' counts up to one refused request, added up, are the limit. Every moment is a slot's, on Redis's
clock. Requests that were given their slots before a cut belong to it and cut no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from importlib.resources import files

from redis.asyncio import Redis
from redis.exceptions import RedisError

from couponpress_worker.rate.bucket import PROBE_US, WINDOW_US, AsyncTokenBucket, Bucket, Grant, Wait
from couponpress_worker.wechatpay.retry import LONGEST_THROTTLE_PAUSE_SECONDS, THROTTLE_PAUSE_SECONDS

_log = logging.getLogger(__name__)

#: Refusals that come within this time of the first are told together.
GATHER_SECONDS = 0.1
#: So long after a cut the answers to everything that was sent before it have come; the fleet rests for longer.
SETTLE_SECONDS = 0.6
#: A pause may be ended by hand, so nobody waits it out without asking again.
LONGEST_WAIT_SECONDS = 1.0
#: How often a process says at which rate it was started.
TELL_EVERY_SECONDS = 10.0
#: The last slot that was given before anybody knew of a cut lies so long after the cut's moment.
GIVEN_US = 300_000
#: No cut that is still counted reaches further back than this before the latest moment.
_KEPT_US = 3 * WINDOW_US


class Pace:
    """The fleet's bucket, at the pace that is in force; one per process and bucket, for one event loop."""

    def __init__(self, client: Redis, bucket: Bucket, pace_key: str) -> None:
        """Take a client that fails fast, as `AsyncTokenBucket` does."""
        self._bucket = AsyncTokenBucket(client, bucket, pace_key=pace_key)
        self._script = client.register_script(_script())
        self._client = client
        self._keys = [pace_key, bucket.key]
        self._lateness_us = bucket.lateness_us
        self._admitted: deque[int] = deque()
        self._refused: list[tuple[int, float]] = []
        self._cut_us = 0
        self._telling: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None

    async def acquire(self, wanted: int, urgent: bool = False) -> Grant | Wait:
        """Take slots, as `AsyncTokenBucket.acquire` does; the answer tells of cuts that other processes made."""
        answer = await self._bucket.acquire(wanted, urgent)
        self._notice(answer.cut_us)
        return answer if isinstance(answer, Grant) else Wait(min(answer.seconds, LONGEST_WAIT_SECONDS), answer.cut_us)

    def admitted(self, moment_us: int) -> None:
        """Note that the platform took the request of a slot, whatever it made of it."""
        self._admitted.append(moment_us)
        while self._admitted[0] < moment_us - _KEPT_US:
            self._admitted.popleft()

    def throttled(self, moment_us: int, retry_after_seconds: float | None, pause: Callable[[float], None]) -> None:
        """Tell the fleet that the request of a slot was refused as too fast.

        `pause(seconds)` is called with how long the fleet rests, and when Redis cannot be told.
        """
        self._refused.append((moment_us, min(retry_after_seconds or 0.0, LONGEST_THROTTLE_PAUSE_SECONDS)))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(pause), context=Context())

    async def tell_configured(self, rate: str, stopped: asyncio.Event) -> None:
        """Let people see the rate that this process was started with, until it is stopped."""
        while not stopped.is_set():
            # While Redis is away there is nobody who could read it, and a server that comes back is told anew.
            with suppress(RedisError, OSError):
                await self._client.hset(self._keys[0], "configured", rate)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), TELL_EVERY_SECONDS)

    async def close(self) -> None:
        """Tell nothing more."""
        if left := [task for task in (self._telling, self._counting) if task is not None]:
            for task in left:
                task.cancel()
            await asyncio.wait(left)

    async def _tell(self, pause: Callable[[float], None]) -> None:
        while self._refused:
            refused, self._refused = self._refused, []
            moment_us, asked = max(moment for moment, _ in refused), max(seconds for _, seconds in refused)
            try:
                cut_us, rest_us = await self._report("refused", moment_us, len(refused), round(asked * 1e6))
            except (RedisError, OSError) as error:
                _log.warning("Redis could not be told that the platform throttles: %s", error)
                pause(max(asked, THROTTLE_PAUSE_SECONDS))
            else:
                pause(min(rest_us / 1e6, LONGEST_WAIT_SECONDS))  # slots in hand are over by then
                self._notice(cut_us)
            await asyncio.sleep(GATHER_SECONDS)

    def _notice(self, cut_us: int) -> None:
        """Count for a cut that is new to this process."""
        if cut_us == self._cut_us:
            return
        self._cut_us = cut_us
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count(), context=Context())

    async def _count(self) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        cut_us = self._cut_us
        # A request may have arrived before one of an earlier slot, on a new connection by far, but not in a window with
        # more than the limit.
        taken = [
            sum(end_us - WINDOW_US < moment <= end_us for moment in self._admitted)
            for end_us in (cut_us, cut_us + self._lateness_us, cut_us + GIVEN_US)
        ]
        if any(taken):
            try:
                await self._report("counted", cut_us, *taken)
            except (RedisError, OSError) as error:
                _log.warning("Redis could not be told how much the platform took: %s", error)

    async def _report(self, act: str, moment_us: int, *numbers: int) -> list[int]:
        values: list[int | str] = [act, moment_us, self._lateness_us, WINDOW_US, PROBE_US, *numbers]
        reply: list[int] = await self._script(self._keys, values)
        return reply


def _script() -> str:
    return files("couponpress_worker.rate").joinpath("adaptive.lua").read_text(encoding="utf-8")
