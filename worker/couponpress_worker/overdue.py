"""Asks the platform about specs that it has not called back about, on the query limit.

Two kinds are asked about: those whose submitting ended open (looks), and those accepted so long ago that every
repetition of the callback has passed (overdue). Decides what each answer means for the spec. Callbacks are the
main channel: at 20 queries a second, a hundred thousand specs would take 83 minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import Move, Place, WorkLedger
from couponpress_worker.completion import move_of
from couponpress_worker.judgement import (
    MAX_TRIES,
    Again,
    Answer,
    Completed,
    NoAnswer,
    NotFound,
    Processing,
    QueryJudgement,
    Rejected,
    Stop,
    Throttled,
    judge_query,
    retry_delay_seconds,
)
from couponpress_worker.recovery import TICK_SECONDS, Leadership, rest
from couponpress_worker.slots import Slot, Slots, SlotsClosedError
from couponpress_worker.wechatpay import SlotPassed, WeChatPay

log = logging.getLogger(__name__)

#: How many looks or chunks one round takes up: a few seconds of the query limit.
ROUND = 50
#: A look that taught nothing gives way to the others for so long.
LOOK_AGAIN_MS = 10_000
#: Who answers a look is not down any more, so a spec whose tries ended in an outage gets a few more, each followed by a
#: look: so long after the look that did not find it, seconds.
LAST_DELAYS_SECONDS = (1.0, 30.0, 60.0)
EXPIRED_CODE = "NO_ANSWER"
GAVE_UP_CODE = "GAVE_UP"


class OverdueQuery:
    """Queries specs and books what comes back; one per process, busy only while the process leads."""

    def __init__(
        self,
        *,
        ledger: WorkLedger,
        platform: WeChatPay,
        slots: Slots,
        callback_span_seconds: int,
        expire_after_seconds: int,
    ) -> None:
        self._ledger = ledger
        self._platform = platform
        self._slots = slots
        self._callback_span_seconds = callback_span_seconds
        self._expire_after_seconds = expire_after_seconds

    async def run(self, leadership: Leadership, halted: Callable[[], bool], stopped: asyncio.Event) -> None:
        """Query while this process leads and nothing is held, until it is stopped and its slots are closed."""
        while not stopped.is_set():
            try:
                if not halted() and await leadership.mine():
                    await self.round(leadership.mine)
            except REDIS_AWAY as error:
                log.warning("overdue queries wait for Redis: %s", error)
            except SlotsClosedError:
                return
            await rest(stopped, TICK_SECONDS)

    async def round(self, still_leading: Callable[[], Awaitable[bool]]) -> None:
        """Take up the looks that are due, then the chunks that are overdue."""
        for place in await self._ledger.due_looks(ROUND):
            await self._look(place)
        for chunk_id, accepted_seconds_ago in await self._ledger.overdue_chunks(self._callback_span_seconds, ROUND):
            if not await still_leading():
                return
            await self._query_chunk(chunk_id, accepted_seconds_ago)

    async def _look(self, place: Place) -> None:
        """Find out what became of a spec whose submitting ended open."""
        rows, states = await self._ledger.rows(place.chunk_id)
        if not rows or states[place.position] != "l":
            await self._ledger.drop_look(place)
            return
        judgement = await self._query(rows[place.position].body_fields())
        move: Move | None
        match judgement:
            case NotFound():
                move = move_when_absent(place.position, *await self._ledger.history(place))
            case Rejected(code=code, message=message):
                move = Move(place.position, "reject", code=code, message=f"open, and the query is refused: {message}")
            case _:
                move = move_after_query(judgement, place.position)
        if move is None:
            await self._ledger.postpone_look(place, LOOK_AGAIN_MS)
        else:
            await self._ledger.move({place.chunk_id: [move]})

    async def _query_chunk(self, chunk_id: str, accepted_seconds_ago: float) -> None:
        """Ask about each accepted spec of a chunk; give up those that were accepted too long ago."""
        rows, states = await self._ledger.rows(chunk_id)
        for position, (row, letter) in enumerate(zip(rows, states, strict=True)):
            if letter != "a":
                continue
            judgement = await self._query(row.body_fields())
            move = move_after_query(judgement, position)
            if isinstance(judgement, NotFound):
                move = Move(position, "absent", code="NOT_FOUND", message="accepted, yet the platform does not know it")
            # A limit or a wrong set-up says nothing about the spec, and passes.
            learned = not isinstance(judgement, Throttled | Stop)
            expired = learned and accepted_seconds_ago > self._expire_after_seconds
            if expired and (move is None or move.name == "accept"):
                move = Move(
                    position, "expire", code=EXPIRED_CODE, message="accepted, but never finished by the platform"
                )
            if move is not None:
                await self._ledger.move({chunk_id: [move]})
        await self._ledger.queried(chunk_id)

    async def _query(self, body: dict[str, str]) -> QueryJudgement:
        answer, slot = await self._answer(body["task_id"], body["brand_id"], body["image_generation_type"])
        judgement = judge_query(answer)
        if isinstance(judgement, Throttled):
            self._slots.throttled(slot, judgement.retry_after_seconds)
        else:
            self._slots.answered(slot)
        if isinstance(judgement, Stop):
            log.error("a query was refused: %s %s. %s", judgement.code, judgement.message, judgement.cure)
        if isinstance(judgement, Again):
            log.info("a query failed and is repeated later: %s %s", judgement.code, judgement.message)
        return judgement

    async def _answer(self, task_id: str, brand_id: str, image_generation_type: str) -> tuple[Answer | NoAnswer, Slot]:
        """Query inside a slot; one that passes unused is followed by another."""
        while True:
            slot = await self._slots.take()
            try:
                gate = partial(self._gate, slot)
                return await self._platform.query(task_id, brand_id, image_generation_type, gate), slot
            except SlotPassed:
                continue

    async def _gate(self, slot: Slot) -> None:
        if not await self._slots.due(slot):
            raise SlotPassed


def move_after_query(judgement: QueryJudgement, position: int) -> Move | None:
    """Return the move that a query's answer leads to; None when it leaves everything as it is."""
    match judgement:
        case Completed() | Processing():
            return move_of(judgement, position)
        case _:
            return None


def move_when_absent(position: int, tries: int, code: str, message: str) -> Move:
    """Return the move of a spec that the platform does not know after an open end.

    Known under another brand or type (ALREADY_EXISTS): rejected. Tries left, or one of the last ones: the same bytes
    again. None left: rejected, with what the last try said.
    """
    if "ALREADY_EXISTS" in code:
        return Move(position, "reject", code=code, message=message)
    delay_seconds = retry_delay_seconds(tries, 0.5)
    if delay_seconds is None and tries - MAX_TRIES < len(LAST_DELAYS_SECONDS):
        delay_seconds = LAST_DELAYS_SECONDS[tries - MAX_TRIES]
    if delay_seconds is None:
        return Move(position, "reject", code=GAVE_UP_CODE, message=f"{tries} tries, the last one: {code} {message}")
    return Move(position, "absent", delay_ms=round(delay_seconds * 1000), code=code, message=message)
