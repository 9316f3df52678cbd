"""One chunk from lease to outcomes: wait for slots, sign, post, judge, record.

Decides the order of these steps and what each judgement does to a spec. Refuses to know Celery, Redis commands
and HTTP: the ledger, the slots and the platform's client are handed in.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import redis.exceptions

from couponpress.keys import lane_of, run_of
from couponpress.ledger.working import LEASE_MS, Leased, Move, WorkLedger
from couponpress_worker.judgement import (
    Accepted,
    Again,
    Judgement,
    Look,
    Rejected,
    Stop,
    Throttled,
    judge,
    retry_delay_seconds,
)
from couponpress_worker.recorder import Recorder
from couponpress_worker.slots import Slot, Slots, SlotsClosedError
from couponpress_worker.wechatpay import SignedRequest, SlotPassed, WeChatPay

log = logging.getLogger(__name__)

#: A chunk that would hold its worker longer hands its rest on, so that no slow limit blocks a lane.
HAND_ON_SECONDS = 5.0
#: A third of a lease: two renewals may fail before it is lost.
RENEW_SECONDS = 10.0
#: After a throttled answer that names no time.
THROTTLE_PAUSE_SECONDS = 1.0
#: A signature older than this is made anew: the platform refuses one of 300 s.
RESIGN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What one call did with a chunk; Celery keeps it as the task's result."""

    chunk_id: str
    note: str
    sent: int = 0
    judgements: dict[str, int] = dataclasses.field(default_factory=dict)
    handed_on: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON knows it."""
        return {
            "chunk": self.chunk_id,
            "note": self.note,
            "sent": self.sent,
            "judgements": self.judgements,
            "handed_on": self.handed_on,
        }


class Halt:
    """Whether this process may send: set by holds and by a shutdown, asked before every request."""

    def __init__(self) -> None:
        self.stopping = False
        self.held: frozenset[str] = frozenset()

    def stops(self, run_number: str) -> bool:
        """Whether nothing of that run may be sent now."""
        return self.stopping or "partner" in self.held or f"run:{run_number}" in self.held


class Submitter:
    """Submits chunks, several at a time, on one event loop; one per process."""

    def __init__(
        self,
        *,
        ledger: WorkLedger,
        recorder: Recorder,
        slots: Slots,
        platform: WeChatPay,
        owner: str,
        publish_again: Callable[[list[str]], Awaitable[None]],
        halt: Halt,
    ) -> None:
        self._ledger = ledger
        self._recorder = recorder
        self._slots = slots
        self._platform = platform
        self._owner = owner
        self._publish_again = publish_again
        self._halt = halt

    async def submit_chunk(self, chunk_id: str) -> Summary:
        """Submit what waits in a chunk; a hint that came twice or too late finds nothing to do."""
        asked_at = time.monotonic()
        leased = await self._ledger.lease(chunk_id, self._owner)
        if not isinstance(leased, Leased):
            return Summary(chunk_id, note=leased)
        chunk = _ChunkInHand(leased, asked_at + LEASE_MS / 1000)
        renewal = asyncio.create_task(self._renew(chunk))
        try:
            await self._send_all(chunk)
        finally:
            renewal.cancel()
            if chunk.throttled:
                await self._ledger.count_throttled(chunk_id, chunk.throttled)
            await self._recorder.flush()
            rest = await self._ledger.give_back(chunk_id, self._owner)
        if rest > 0:
            await self._publish_again([chunk_id])
        note = "lease lost" if rest < 0 else "handed on" if rest else "closed"
        return Summary(chunk_id, note, chunk.sent, dict(chunk.judgements), max(rest, 0))

    async def _send_all(self, chunk: _ChunkInHand) -> None:
        """Send each waiting spec in its slot, until none is left or the chunk's time is over."""
        urgent = lane_of(chunk.chunk_id) == "urgent"
        async with asyncio.TaskGroup() as requests:
            while chunk.pending and not self._stopped(chunk):
                position = chunk.pending.popleft()
                signed = self._sign(chunk, position)
                try:
                    async with asyncio.timeout_at(chunk.hand_on_at):
                        slot = await self._slots.take(urgent=urgent)
                except (TimeoutError, SlotsClosedError):
                    return
                chunk.in_flight += 1
                requests.create_task(self._attempt(chunk, position, signed, slot))
                if not chunk.pending:
                    # The last answers may be throttled ones, which come back to be sent again.
                    chunk.idle.clear()
                    await chunk.idle.wait()

    async def _attempt(self, chunk: _ChunkInHand, position: int, signed: _Signed, slot: Slot) -> None:
        """Send one request inside its slot and act on the answer."""

        async def gate() -> None:
            if not await self._slots.due(slot) or self._stopped(chunk):
                raise SlotPassed

        try:
            answer = await self._platform.submit(signed.request, gate)
        except SlotPassed:
            chunk.pending.appendleft(position)
            chunk.signed[position] = signed
        else:
            chunk.sent += 1
            judgement = judge(answer)
            chunk.judgements[type(judgement).__name__] += 1
            await self._act(chunk, position, judgement)
        finally:
            chunk.in_flight -= 1
            if chunk.pending or not chunk.in_flight:
                chunk.idle.set()

    async def _act(self, chunk: _ChunkInHand, position: int, judgement: Judgement) -> None:
        match judgement:
            case Accepted():
                self._recorder.record(chunk.chunk_id, Move(position, "accept", tries=1))
            case Rejected(code=code, message=message, field=field):
                told = f"{message} ({field})" if field else message
                self._recorder.record(chunk.chunk_id, Move(position, "reject", tries=1, code=code, message=told))
            case Throttled(retry_after_seconds=seconds):
                chunk.throttled += 1
                self._slots.pause(THROTTLE_PAUSE_SECONDS if seconds is None else seconds)
                chunk.pending.append(position)
            case Again(code=code, message=message):
                self._recorder.record(chunk.chunk_id, _retry(position, chunk.tries[position], code, message))
            case Look(code=code, message=message):
                self._recorder.record(chunk.chunk_id, Move(position, "look", tries=1, code=code, message=message))
            case Stop(code=code, message=message, cure=cure):
                await self._hold(f"{code}: {message}", cure)

    async def _hold(self, reason: str, cure: str) -> None:
        """Stop the whole partner; this process stops at once, the others when they next look."""
        self._halt.held |= {"partner"}
        if await self._ledger.hold("partner", reason, cure, time.time()):
            log.error("submitting is held: %s. %s; then `couponpress resume`.", reason, cure)

    def _sign(self, chunk: _ChunkInHand, position: int) -> _Signed:
        """Sign ahead of the slot; what a passed slot left behind is used again while it is fresh."""
        now = time.monotonic()
        kept = chunk.signed.pop(position, None)
        if kept is not None and now - kept.at < RESIGN_SECONDS:
            return kept
        return _Signed(self._platform.sign_submit(chunk.bodies[position]), now)

    def _stopped(self, chunk: _ChunkInHand) -> bool:
        return chunk.lost or self._halt.stops(chunk.run_number)

    async def _renew(self, chunk: _ChunkInHand) -> None:
        """Keep the lease while the chunk is in hand; once it is lost nothing more of the chunk is sent."""
        while not chunk.lost:
            await asyncio.sleep(RENEW_SECONDS)
            asked_at = time.monotonic()
            try:
                kept = await self._ledger.renew(chunk.chunk_id, self._owner)
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                continue  # the lease runs out by itself if Redis stays away
            chunk.leased_until = asked_at + LEASE_MS / 1000 if kept else 0.0


def _retry(position: int, tries: int, code: str, message: str) -> Move:
    """Return the move after a failed try: wait and try again, or after the last try look what became of it."""
    delay_seconds = retry_delay_seconds(tries + 1, random.random())  # noqa: S311 - jitter, no secret
    if delay_seconds is None:
        return Move(position, "look", tries=1, code=code, message=message)
    return Move(position, "again", tries=1, delay_ms=round(delay_seconds * 1000), code=code, message=message)


@dataclass(frozen=True, slots=True)
class _Signed:
    request: SignedRequest
    at: float


class _ChunkInHand:
    """The state of one chunk between lease and giving back."""

    def __init__(self, leased: Leased, leased_until: float) -> None:
        self.leased_until = leased_until
        self.chunk_id = leased.chunk_id
        self.run_number = run_of(leased.chunk_id)
        self.bodies = [row.body for row in leased.rows]
        self.tries = leased.tries
        self.pending = deque(leased.waiting())
        self.signed: dict[int, _Signed] = {}
        self.in_flight = 0
        self.idle = asyncio.Event()
        self.hand_on_at = asyncio.get_running_loop().time() + HAND_ON_SECONDS
        self.judgements: Counter[str] = Counter()
        self.sent = 0
        self.throttled = 0

    @property
    def lost(self) -> bool:
        """Whether another process may hold the lease by now; asked again at the last moment before each send."""
        return time.monotonic() > self.leased_until
