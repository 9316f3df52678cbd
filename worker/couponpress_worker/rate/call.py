"""One call of the platform in a slot of the limiter: wait for the slot, send, judge the answer, report it to the slots.

Submits, status queries and picture uploads all go this way, each with the slots of its own limit. A call that was not
sent raises `NotSent` with the reason: no byte was written, and the same request may be sent later. A call is sent at
most once; whether to try again is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from couponpress_worker.rate.slots import Slot, Slots
from couponpress_worker.wechatpay.client import Gate, NotSent, Reason
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer, Throttled

J = TypeVar("J")

#: Sends a request when the gate lets it pass, and returns what came back.
Exchange: TypeAlias = Callable[[Gate], Awaitable[Answer | NoAnswer]]
#: Returns why the request may not be sent at this moment, or None when it may.
Refusal: TypeAlias = Callable[[], Reason | None]


@dataclass(frozen=True, slots=True)
class Answered(Generic[J]):
    """What a call that was sent came to: the answer, and what it means."""

    answer: Answer | NoAnswer
    judgement: J

    @property
    def request_id(self) -> str:
        """The platform's Request-ID of the call; empty when no answer came."""
        return self.answer.request_id if isinstance(self.answer, Answer) else ""


def _nothing_against() -> None:
    return None


class PacedCall(Generic[J]):
    """Sends requests of one kind, each in its slot; one per process and kind, for one event loop.

    Args:
        slots: of the limit that counts these requests.
        judge: says what an answer means.
        note_sent: hears the moment of each request that leaves, microseconds on Redis's clock.
    """

    def __init__(
        self, slots: Slots, judge: Callable[[Answer | NoAnswer], J], note_sent: Callable[[int], None] | None = None
    ) -> None:
        self._slots = slots
        self._judge = judge
        self._note_sent = note_sent

    async def once(
        self, exchange: Exchange, slot: Slot, *, refusal: Refusal = _nothing_against, urgent: bool = False
    ) -> Answered[J]:
        """Send a request in a slot that was taken before. `refusal` is asked at the slot's moment.

        Raises:
            NotSent: the slot passed, or `refusal` named a reason. The slot is used up.
        """

        async def gate() -> None:
            in_time = await self._slots.due(slot, urgent=urgent)
            if (reason := refusal()) is not None:
                raise NotSent(reason)
            if not in_time:
                raise NotSent("late")
            if self._note_sent is not None:
                self._note_sent(self._slots.now_us(slot))

        answer = await exchange(gate)
        judgement = self._judge(answer)
        if isinstance(judgement, Throttled):
            self._slots.throttled(slot, judgement.retry_after_seconds)
        else:
            self._slots.answered(slot)
        return Answered(answer, judgement)

    async def in_time(self, exchange: Exchange, *, refusal: Refusal = _nothing_against) -> Answered[J]:
        """Take a slot and send a request in it; when the slot passes unused, take another one.

        Raises:
            NotSent: `refusal` named a reason.
            SlotsClosedError: this process sends nothing more.
        """
        while (reason := refusal()) is None:
            slot = await self._slots.take()
            try:
                return await self.once(exchange, slot, refusal=refusal)
            except NotSent as told:
                if told.reason != "late":
                    raise
        raise NotSent(reason)
