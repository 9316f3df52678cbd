"""Hands the fleet's slots to the callers within one process: urgent first, up to its share, then by rank.

Asks the bucket again in time, and drops a slot that is too late to be used. For one event loop; clocks are monotonic
seconds.

The bucket uses Redis's clock, a process its own. `server_clock` tells between which two moments of the process's clock
a slot's moment lies. At the later one the slot is certainly due. The bound holds when the request is sent up to J/2
after the earlier one: half of the lateness budget J is for this process, the other half for the way to the far end.
A slot that is later than that at the last look at the clock is given up. So a process that stalls sends less, but the
bound holds.

One timer wakes everybody whose slot is due. It waits for the next neighbours of a slot, because waking up costs as much
CPU as sending. Half of the time in which a slot can be used may pass so. For some seconds after a slot came too late
each one is used at its own moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from heapq import heappop, heappush, nsmallest
from itertools import count
from math import ceil, inf
from typing import Final, NamedTuple

from redis.exceptions import RedisError

from couponpress.language import gettext
from couponpress_worker.errors import WorkerError
from couponpress_worker.rate.adaptive import Pace
from couponpress_worker.rate.bucket import Grant, Wait
from couponpress_worker.rate.server_clock import RedisClock
from couponpress_worker.wechatpay.retry import throttle_pause_seconds

_log = logging.getLogger(__name__)

#: The most slots asked for at once, so that processes take turns.
MOST_AT_ONCE = 20
#: Bulk slots are asked for when the last one in hand is nearer than this: late enough that waiters gather and one
#: call serves many, early enough that a slow answer costs no slot.
LEAD_SECONDS = 0.05
#: When the whole horizon is taken, it is asked for no sooner than this; what is taken lasts longer.
PACE_SECONDS = 0.025
#: Event loops round their timers to milliseconds: a shorter sleep may not sleep at all.
TICK_SECONDS = 0.001
#: An urgent request gets no slot that is nearer than this, because it needs time to connect.
NEAREST_SECONDS = 0.005
#: For which share of the time in which it can be used a slot may wait for its neighbours.
NEIGHBOURS_SHARE = 0.5
#: For so long after a slot came too late none waits for its neighbours.
ALONE_SECONDS = 0.5
#: Tells a sleeper that its slot now belongs to an urgent request.
PASSED_ON: Final = True
#: Redis is asked again after a failure in steps that double up to one second.
FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 1.0
#: The alarm belongs to no request: log lines of it carry nothing of the one that set it.
_NOBODY_S: Final = Context()


class SlotsClosedError(WorkerError):
    """The process is closing: no more slots are handed out."""

    def __init__(self) -> None:
        super().__init__(
            gettext("this process is closing and sends nothing more; what is left goes to another worker.")
        )


@dataclass(slots=True)  # not frozen: making a frozen value takes three times as long, and nobody changes one
class Slot:
    """The right to send one request, not before `earliest` and not after `latest` (monotonic seconds).

    `moment_us` is the slot's moment on Redis's clock, microseconds since 1970, on which processes can compare slots.
    """

    earliest: float
    latest: float
    moment_us: int = 0


@dataclass(order=True, slots=True)
class _Waiter:
    """Somebody who can use up to `wanted` slots; the lowest rank is served first, then whoever came first."""

    rank: int
    number: int
    wanted: int = field(compare=False)
    slots: asyncio.Future[list[Slot]] = field(compare=False)


class _Sleeper(NamedTuple):
    """Somebody who waits for the moment of a slot; one that is done waits no more, and stays in the heap until then."""

    earliest: float
    number: int
    slot: Slot
    urgent: bool
    woken: asyncio.Future[bool]


class Slots:
    """Hands the slots of a bucket to the waiters of one process.

    Attributes:
        granted: slots that the bucket gave to this process.
        given_up: those of them that were too late to be used.
    """

    def __init__(
        self,
        acquire: Callable[[int, bool], Awaitable[Grant | Wait]],
        *,
        lateness_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        pace: Pace | None = None,
        urgent_share: float = 1.0,
    ) -> None:
        """Take `acquire(wanted, urgent)`, as `AsyncTokenBucket` has it, and the lateness budget J of its bucket.

        With a `pace` every answer of the far end is told to it; without one a throttled answer rests this process.
        While urgent and bulk requests wait, the urgent ones have at most `urgent_share` of the slots.
        """
        self.granted = 0
        self.given_up = 0
        self._acquire = acquire
        self._own_lateness = lateness_seconds / 2
        self._clock = clock
        self._redis_clock = RedisClock()
        self._pace = pace
        self._urgent: list[_Waiter] = []
        self._bulk: list[_Waiter] = []
        self._bulk_share = (1.0 - urgent_share) / urgent_share
        self._bulk_due = 0.0
        """How many slots bulk requests have still to get for those that urgent ones got while both waited."""
        self._numbers = count()
        self._spare: deque[Slot] = deque()
        self._sleepers: list[_Sleeper] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf
        self._alone_until = 0.0
        self._pump: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._last_moment = self._paused_until = clock()
        self._failures = 0
        self._closed = False

    async def take(self, *, urgent: bool = False) -> Slot:
        """Wait for a slot. It usually lies some ten milliseconds ahead: time to connect. Then call `due`.

        Raises:
            SlotsClosedError: the slots were closed, before or while waiting.
        """
        (slot,) = await self.take_some(1, urgent=urgent)
        return slot

    async def take_some(self, wanted: int, *, urgent: bool = False, rank: int = 0) -> list[Slot]:
        """Wait for slots; returns from one to `wanted`, in order, as soon as there is any.

        Among waiters of one lane the lowest rank goes first, so that work that was begun ends before other work is.

        Raises:
            SlotsClosedError: the slots were closed, before or while waiting.
        """
        if self._closed:
            raise SlotsClosedError
        waiter = _Waiter(rank, next(self._numbers), wanted, asyncio.get_running_loop().create_future())
        queue = self._urgent if urgent else self._bulk
        if urgent and self._next_queue() is not self._urgent:
            self._hurry.set()
        heappush(queue, waiter)
        self._hand_out()
        self._keep_pumping()
        try:
            return await waiter.slots
        except asyncio.CancelledError:
            if waiter.slots.done() and not waiter.slots.cancelled() and waiter.slots.exception() is None:
                for slot in reversed(waiter.slots.result()):
                    self._put_back(slot)
            raise

    async def due(self, slot: Slot, *, urgent: bool = False) -> bool:
        """Sleep until the slot's moment; return whether it may be used. The last thing to do before sending.

        Until its moment comes, the slot of a bulk request may pass to an urgent one: then the answer is no.
        """
        now = self._clock()
        if slot.earliest > now:
            woken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            heappush(self._sleepers, _Sleeper(slot.earliest, next(self._numbers), slot, urgent, woken))
            if slot.earliest < self._alarm_at:
                self._set_alarm(slot.earliest, now)
            try:
                if await woken is PASSED_ON:
                    return False
            except asyncio.CancelledError:
                if woken.cancelled() or woken.result() is not PASSED_ON:
                    self._put_back(slot)
                raise
            now = self._clock()
        if self._paused_until <= now <= slot.latest:
            return True
        if now > slot.latest:
            self._alone_until = now + ALONE_SECONDS
        self.given_up += 1
        return False

    def _set_alarm(self, at: float, now: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        seconds = max(ceil((at - now) * 1000) / 1000, TICK_SECONDS)  # event loops round their timers to milliseconds
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._wake, context=_NOBODY_S)

    def _wake(self) -> None:
        """Wake whose slot is due; then wait for the next one, or for its neighbours."""
        now, sleepers = self._clock(), self._sleepers
        self._alarm, self._alarm_at = None, inf
        while sleepers and (sleepers[0].woken.done() or sleepers[0].earliest <= now):
            if not (sleeper := heappop(sleepers)).woken.done():
                sleeper.woken.set_result(not PASSED_ON)
        if not sleepers:
            return
        first, at = sleepers[0], sleepers[0].earliest
        if now >= self._alone_until:
            reach = at + (first.slot.latest - at) * NEIGHBOURS_SHARE
            if any(neighbour.earliest <= reach for neighbour in sleepers[1:3]):  # the second one of a heap stands there
                at = reach
        self._set_alarm(at, now)

    def now_us(self, slot: Slot) -> int:
        """Return this moment on Redis's clock, as the slot's own moment lets it be told; a round trip late at most."""
        since_moment = self._clock() - (slot.latest - self._own_lateness)
        return slot.moment_us + round(since_moment * 1_000_000)

    def pause(self, seconds: float) -> None:
        """Let this process send nothing for so long: no slot is handed out, none falls due."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def answered(self, slot: Slot) -> None:
        """Note that a request was sent in the slot, and answered by anything but "too fast"."""
        if self._pace is not None:
            self._pace.admitted(slot.moment_us)

    def throttled(self, slot: Slot, retry_after_seconds: float | None) -> None:
        """Note that the request of the slot was answered with "too fast", and for how long the answer asks to wait."""
        if self._pace is not None:
            self._pace.throttled(slot.moment_us, retry_after_seconds, self.pause)
        else:
            self.pause(throttle_pause_seconds(retry_after_seconds))

    async def close(self) -> None:
        """Hand out nothing more; whoever waits gets `SlotsClosedError`. Slots in hand may still be used."""
        self._closed = True
        self.given_up += len(self._spare)
        self._spare.clear()
        self._fail(SlotsClosedError())
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    def _keep_pumping(self) -> None:
        if self._next_queue() is not None and (self._pump is None or self._pump.done()):
            self._pump = asyncio.create_task(self._pump_slots(), context=Context())
            self._pump.add_done_callback(self._pump_ended, context=Context())

    async def _pump_slots(self) -> None:
        """Ask the bucket as long as somebody waits."""
        while (queue := self._next_queue()) is not None:
            self._hurry.clear()
            queue = self._urgent or queue  # what is granted may be due to bulk requests all the same
            urgent = queue is self._urgent
            enough = 0.0 if urgent else self._last_moment - LEAD_SECONDS
            if (rest := max(self._paused_until, enough) - self._clock()) > 0:
                await self._rest(rest)
                self._hand_out()
                continue
            sent = self._clock()
            try:
                answer = await self._acquire(min(_wanted(queue), MOST_AT_ONCE), urgent)
            except (RedisError, OSError) as error:
                await self._fail_closed(error)
                continue
            if self._failures:
                _log.info("Redis gives slots again: sending goes on.")
                self._failures = 0
            if isinstance(answer, Grant):
                self._receive(answer, sent)
            else:
                await self._rest(max(answer.seconds, PACE_SECONDS))

    async def _rest(self, seconds: float) -> None:
        """Sleep, unless the first urgent waiter comes or has come since the pump looked."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, TICK_SECONDS)):
                await self._hurry.wait()

    async def _fail_closed(self, error: Exception) -> None:
        if not self._failures:
            _log.warning("Redis gives no slots (%s): nothing is sent until it does.", error)
        delay = min(FIRST_RETRY_SECONDS * 2 ** min(self._failures, 10), LAST_RETRY_SECONDS)
        self._failures += 1
        await asyncio.sleep(delay)

    def _receive(self, grant: Grant, sent: float) -> None:
        self._redis_clock.hear(grant.at_us, sent=sent, received=self._clock())
        for offset_us in grant.offsets_us():
            moment_us = grant.at_us + offset_us
            earliest = self._redis_clock.surely_past(moment_us)
            slot = Slot(earliest, self._redis_clock.surely_not_past(moment_us) + self._own_lateness, moment_us)
            self.granted += 1
            if slot.earliest <= slot.latest:
                self._spare.append(slot)
            else:
                self.given_up += 1
            self._last_moment = slot.earliest
        self._hand_out()

    def _hand_out(self) -> None:
        now = self._clock()
        while now >= self._paused_until and self._spare and (queue := self._next_queue()) is not None:
            usable: list[Slot] = []
            urgent = queue is self._urgent
            most = queue[0].wanted if urgent or not self._urgent else min(queue[0].wanted, int(self._bulk_due))
            while self._spare and len(usable) < most:
                slot = self._spare.popleft()
                if now <= slot.latest:
                    usable.append(slot)
                else:
                    self.given_up += 1
            if usable:
                heappop(queue).slots.set_result(usable)
                self._note_shares(len(usable), urgent=urgent)
        if now >= self._paused_until:
            self._pass_on(now)

    def _pass_on(self, now: float) -> None:
        """Give urgent waiters the next slots that bulk requests have in hand; these wait for later ones."""
        while self._next_queue() is self._urgent:
            within_reach = [
                sleeper
                for sleeper in self._sleepers
                if sleeper.earliest >= now + NEAREST_SECONDS and not (sleeper.urgent or sleeper.woken.done())
            ]
            nearest = nsmallest(self._urgent[0].wanted, within_reach)
            if not nearest:
                return
            for sleeper in nearest:
                sleeper.woken.set_result(PASSED_ON)
            heappop(self._urgent).slots.set_result([sleeper.slot for sleeper in nearest])
            self._bulk_due += len(nearest) * self._bulk_share

    def _put_back(self, slot: Slot) -> None:
        """Give a slot whose owner was cancelled to the next one."""
        if self._closed:
            self.given_up += 1
            return
        self._spare.appendleft(slot)
        self._hand_out()

    def _next_queue(self) -> list[_Waiter] | None:
        """Return the queue whose head is next, without those at the head who no longer wait."""
        for queue in (self._urgent, self._bulk):
            while queue and queue[0].slots.done():
                heappop(queue)
        if self._urgent and self._bulk:
            return self._bulk if self._bulk_due >= 1 else self._urgent
        return self._urgent or self._bulk or None

    def _note_shares(self, slots: int, *, urgent: bool) -> None:
        if not urgent:
            self._bulk_due = max(self._bulk_due - slots, 0.0)
        elif self._bulk:
            self._bulk_due += slots * self._bulk_share

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        """Hand an error that nobody foresaw to those who wait, instead of letting them wait for ever."""
        if not pump.cancelled() and (error := pump.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        while (queue := self._next_queue()) is not None:
            heappop(queue).slots.set_exception(error)


def _wanted(queue: list[_Waiter]) -> int:
    return sum(waiter.wanted for waiter in queue if not waiter.slots.done())
