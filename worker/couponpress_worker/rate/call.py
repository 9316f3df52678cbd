"""One call of the platform in a slot of the limiter: wait for the slot, send, judge the answer, report it.

Submits, status queries and picture uploads all go this way, each with the slots of its own limit. What happened is told
to the slots and, as an event, to whoever listens (`events`). A call that was not sent raises `NotSent` with the reason:
no byte was written, and the same request may be sent later. A call is sent at most once; whether to try again is for
the caller to say.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from structlog.contextvars import bind_contextvars

from couponpress.ledger.fleet_queries import Place
from couponpress_worker.events import Answered, CallKind, Sent, Tell, Unsent, unheard
from couponpress_worker.rate.slots import Slot, Slots
from couponpress_worker.wechatpay.client import Gate, NotSent, Reason
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer, Throttled

J = TypeVar("J")

#: Sends a request when the gate lets it pass, and returns what came back.
Exchange: TypeAlias = Callable[[Gate], Awaitable[Answer | NoAnswer]]
#: Returns why the request may not be sent at this moment, or None when it may.
Refusal: TypeAlias = Callable[[], Reason | None]


def log_field(name: str) -> ContextVar[str]:
    """Return the variable that holds a field of log lines, to be set with every request: structlog looks it up anew."""
    variable: ContextVar[str] = Context().run(partial(bind_contextvars, **{name: ""}))[name].var
    return variable


_REQUEST_ID = log_field("request_id")


def _nothing_against() -> None:
    return None


class PacedCall(Generic[J]):
    """Sends requests of one kind, each in its slot; one per process and kind, for one event loop.

    Args:
        kind: what these requests are for.
        slots: of the limit that counts them.
        judge: says what an answer means.
        tell: hears of each request that leaves, that is kept back, and of each answer.
    """

    def __init__(
        self, kind: CallKind, slots: Slots, judge: Callable[[Answer | NoAnswer], J], tell: Tell = unheard
    ) -> None:
        self._kind: CallKind = kind
        self._slots = slots
        self._judge = judge
        self._tell = tell

    async def once(
        self,
        exchange: Exchange,
        slot: Slot,
        *,
        refusal: Refusal = _nothing_against,
        urgent: bool = False,
        place: Place | None = None,
    ) -> Answered[J]:
        """Send a request in a slot that was taken before. `refusal` is asked at the slot's moment.

        From the answer on, log lines of this asyncio task carry its Request-ID.

        Args:
            exchange: sends the request.
            slot: it is used up, whatever comes of the request.
            refusal: says why the request may not be sent.
            urgent: the request may take a bulk request's slot.
            place: the spec that the request is about, for the events.

        Raises:
            NotSent: the slot passed, or `refusal` named a reason.
        """
        began = time.monotonic()

        async def gate() -> None:
            nonlocal began
            in_time = await self._slots.due(slot, urgent=urgent)
            if (reason := refusal()) is not None:
                raise NotSent(reason)
            if not in_time:
                raise NotSent("late")
            self._tell(Sent(self._kind, self._slots.now_us(slot), place))
            began = time.monotonic()

        try:
            answer = await exchange(gate)
        except NotSent as told:
            self._tell(Unsent(self._kind, told.reason, place))
            raise
        _REQUEST_ID.set(answer.request_id if isinstance(answer, Answer) else "")
        answered = Answered(self._kind, answer, self._judge(answer), time.monotonic() - began, place)
        if isinstance(answered.judgement, Throttled):
            self._slots.throttled(slot, answered.judgement.retry_after_seconds)
        else:
            self._slots.answered(slot)
        self._tell(answered)
        return answered

    async def in_time(
        self, exchange: Exchange, *, refusal: Refusal = _nothing_against, place: Place | None = None
    ) -> Answered[J]:
        """Take a slot and send a request in it; when the slot passes unused, take another one.

        Raises:
            NotSent: `refusal` named a reason.
            SlotsClosedError: this process sends nothing more.
        """
        while (reason := refusal()) is None:
            slot = await self._slots.take()
            try:
                return await self.once(exchange, slot, refusal=refusal, place=place)
            except NotSent as told:
                if told.reason != "late":
                    raise
        raise NotSent(reason)
