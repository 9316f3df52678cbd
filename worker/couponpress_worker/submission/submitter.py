"""Takes one chunk from lease to outcomes: wait for slots, sign, post, judge, record.

Each judgement says what becomes of a spec. Who else wants to know what happened listens to the events. The ledger, the
slots and the platform's client are handed in.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import count

from structlog.contextvars import bound_contextvars

from couponpress.keys import LANES, Lane, brand_scope, lane_of, run_of, run_scope
from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.leases import GivenBack, KeptBack, Leased, LeaseLost, NotLeased, Renewed
from couponpress.ledger.moves import Move
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress_worker.events import Answered, ChunkLeft, ChunkTaken, Tell, Unsent, unheard
from couponpress_worker.rate.call import PacedCall, log_field
from couponpress_worker.rate.slots import Slot, Slots, SlotsClosedError
from couponpress_worker.safety.auto_hold import Fault
from couponpress_worker.safety.breaker import Pass
from couponpress_worker.safety.breaker_gate import Outage
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.safety.slow_start import Trial
from couponpress_worker.safety.unverified import UnverifiedAnswers
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.store.leases import Leases
from couponpress_worker.store.recorder import Recorder
from couponpress_worker.submission.leased_chunk import ChunkInHand, Summary
from couponpress_worker.submission.signers import Signers
from couponpress_worker.timings import REAL, Timings
from couponpress_worker.wechatpay.client import NotSent, Reason, SignedRequest, WeChatPay
from couponpress_worker.wechatpay.judgement import (
    Accepted,
    Hold,
    Judgement,
    QueryFirst,
    Rejected,
    Retry,
    Throttled,
    judge,
)
from couponpress_worker.wechatpay.retry import retry_delay_seconds

log = logging.getLogger(__name__)

#: How many requests of a chunk are signed at a time. None waits longer than `Timings.hand_on` for its slot, and the
#: platform takes a signature for 300 s.
SIGN_AHEAD = 20
#: The log field of a request's task.
_TASK_ID = log_field("task_id")
#: After so long a waiting hint is tried again while every brand in its lane rests: another brand may have come.
CAPPED_LOOK_SECONDS = 0.2
#: The note of a chunk that was not taken in hand because the process stops: its hint is for another one.
STOPPING = "stopping"


async def _by_number(run_number: str) -> str:
    return run_number


class Submitter:
    """Submits chunks, several at a time, on one event loop; one per process."""

    def __init__(
        self,
        *,
        leases: Leases,
        watch: RedisWatch,
        recorder: Recorder,
        slots: Slots,
        platform: WeChatPay,
        owner: str,
        publish_again: Callable[[list[str]], Awaitable[None]],
        halt: Halt,
        fault: Fault,
        tell: Tell = unheard,
        outage: Outage | None = None,
        only_brand: str | None = None,
        run_name: Callable[[str], Awaitable[str]] = _by_number,
        timings: Timings = REAL,
    ) -> None:
        self._leases = leases
        self._watch = watch
        self._recorder = recorder
        self._slots = slots
        self._platform = platform
        self._owner = owner
        self._publish_again = publish_again
        self._halt = halt
        self._tell = tell
        self._call = PacedCall("submit", slots, judge, tell)
        self._only_brand = only_brand
        self._run_name = run_name
        self._timings = timings
        self._ranks = count()
        self._outage = outage or Outage(lambda: halt.stopping, timings=timings)
        self._fault = fault
        self._unverified = UnverifiedAnswers()
        self.trial = Trial()
        self.in_hand = 0
        """How many chunks this process has in hand."""
        self._signers = Signers(LANES, platform.sign_submit)

    def close(self) -> None:
        """End the signing threads; to be called once no chunk is in hand."""
        self._signers.close()

    async def submit_chunk(self, hint: str) -> Summary:
        """Submit what waits in the next chunk of a lane; a hint that came twice or too late finds nothing to do.

        Args:
            hint: the id of a chunk; it tells the lane, not which chunk is next.
        """
        admitted = await self._outage.admit(self._timings.hand_on)
        if admitted is None:
            return Summary(hint, STOPPING)
        self.in_hand += 1
        try:
            leased, asked_at, returns = await self._lease_next(lane_of(hint))
            if isinstance(leased, NotLeased):
                self._tell(ChunkLeft(hint, leased.why))
                return Summary(hint, leased.why)
            with bound_contextvars(run=await self._run_name(run_of(leased.chunk_id)), chunk=leased.chunk_id):
                return await self._submit_leased(leased, asked_at, returns)
        finally:
            self.in_hand -= 1
            self._outage.leave(admitted)

    async def _lease_next(self, lane: Lane) -> tuple[Leased | NotLeased, float, int]:
        """Lease the next chunk; returns when it was asked for, and how often Redis had come back by then.

        While every brand that has chunks rests because of its cap, it waits for one that goes on, or for another brand.
        """
        waits_until = time.monotonic() + self._timings.hand_on
        while True:
            asked_at, returns = time.monotonic(), self._watch.returns
            leased = await self._leases.lease_next(lane, self._owner)
            if isinstance(leased, Leased) or leased.why != "capped" or self._halt.stopping or asked_at > waits_until:
                return leased, asked_at, returns
            await asyncio.sleep(min(leased.seconds, CAPPED_LOOK_SECONDS))

    async def _submit_leased(self, leased: Leased, asked_at: float, returns: int) -> Summary:
        chunk_id = leased.chunk_id
        chunk = ChunkInHand(
            leased, asked_at + self._timings.lease, returns, self._timings.hand_on, rank=next(self._ranks)
        )
        unsent = {one: chunk.task_ids[one] for one in chunk.to_sign if not chunk.tries[one]}
        run = await self._run_name(chunk.run_number)
        self._tell(ChunkTaken(chunk_id, run, leased.made_us, tuple(chunk.to_sign), unsent, leased.trace))
        renewal = asyncio.create_task(self._renew(chunk))
        if self._only_brand is not None:
            self._refuse_other_brands(chunk, self._only_brand)
        try:
            await self._send_in_parts(chunk)
        finally:
            renewal.cancel()
            await self._recorder.flush()
            if chunk.throttled:
                await self._leases.count_throttled(chunk_id, chunk.throttled)
            ended = await self._leases.give_back(chunk_id, self._owner, chunk.kept_back)
        rest = 0
        match ended:
            case GivenBack(waiting=rest):
                note = "handed on" if rest else "closed"
            case KeptBack():
                note = "kept back"
            case LeaseLost():
                note = "lease lost"
        if rest or isinstance(ended, LeaseLost):  # the hint of a lost chunk may already have been consumed here
            await self._hint_again(chunk_id)
        self._tell(ChunkLeft(chunk_id, note, chunk.sent))
        return Summary(chunk_id, note, chunk.sent, dict(chunk.judgements), rest)

    async def _hint_again(self, chunk_id: str) -> None:
        """Publish a chunk of which something is left; while that cannot be done it is found without a hint."""
        try:
            await self._publish_again([chunk_id])
        except REDIS_AWAY as error:
            self._watch.away(error)

    def _refuse_other_brands(self, chunk: ChunkInHand, brand_id: str) -> None:
        """End the specs of other brands: a brand that calls for itself names none, and would get their pictures."""
        told = f"the brand {brand_id} submits its own specs only; others go through their own fleet, or a partner's"
        for position in [one for one in chunk.to_sign if chunk.brands[one] != brand_id]:
            chunk.to_sign.remove(position)
            self._recorder.record(chunk.chunk_id, Move(position, "reject", code="OTHER_BRAND", message=told))

    async def _send_in_parts(self, chunk: ChunkInHand) -> None:
        """Send what waits and is not held; what the platform has taken nothing of yet goes a little at a time."""
        # On trial few go at a time: each another spec, else a silent platform would use up the tries of the first ones.
        waiting = sorted(chunk.to_sign, key=chunk.tries.__getitem__)
        chunk.to_sign.clear()
        while (waiting := chunk.keep_back(waiting, self._halt.keeps_back)) and not self._stopped(chunk):
            part = self.trial.begin(chunk.run_number, [(position, chunk.brands[position]) for position in waiting])
            if not part.positions:
                try:
                    async with asyncio.timeout_at(chunk.hand_on_at):
                        await self.trial.a_part_ended()
                except TimeoutError:
                    return
                continue
            chosen = set(part.positions)
            waiting = [position for position in waiting if position not in chosen]
            chunk.to_sign.extend(part.positions)
            try:
                await self._send_all(chunk)
                if run_scope(chunk.run_number) in part.trying:
                    await self._recorder.flush()  # so that the canary knows the answers before there are more
            finally:
                self.trial.end(part)
            if chunk.to_sign or chunk.ready or chunk.signing is not None:  # out of time
                return

    async def _send_all(self, chunk: ChunkInHand) -> None:
        """Send each waiting spec in its slot, until none is left or the chunk's time is over."""
        async with asyncio.TaskGroup() as requests:
            while not self._stopped(chunk):
                try:
                    async with asyncio.timeout_at(chunk.hand_on_at):
                        if not (await self._ready(chunk) and await self._sure(chunk)):
                            return
                        slots = await self._slots.take_some(len(chunk.ready), urgent=chunk.urgent, rank=chunk.rank)
                except (TimeoutError, SlotsClosedError):
                    return
                for slot in slots:
                    position, request = chunk.ready.popleft()
                    chunk.in_flight += 1
                    requests.create_task(self._attempt(chunk, position, request, slot))

    async def _ready(self, chunk: ChunkInHand) -> bool:
        """Wait until a signed request is ready; False when every spec of the chunk has its answer."""
        while not chunk.ready:
            if chunk.to_sign or chunk.signing is not None:
                await asyncio.shield(chunk.signing or self._sign_ahead(chunk))
            elif chunk.in_flight:
                # The last answers may be throttled ones, or slots may pass: then there is more to send.
                chunk.changed.clear()
                await chunk.changed.wait()
            else:
                return False
        if chunk.to_sign and chunk.signing is None and len(chunk.ready) <= SIGN_AHEAD // 2:
            self._sign_ahead(chunk)
        return True

    async def _sure(self, chunk: ChunkInHand) -> bool:
        """Wait until Redis has confirmed the lease since it came back last; False when the lease is lost."""
        while self._in_doubt(chunk) and not chunk.lost:
            chunk.asked.clear()
            await chunk.asked.wait()
        return not chunk.lost

    def _sign_ahead(self, chunk: ChunkInHand) -> asyncio.Task[None]:
        """Sign the next few requests while others go."""

        async def sign() -> None:
            positions = [chunk.to_sign.popleft() for _ in range(min(SIGN_AHEAD, len(chunk.to_sign)))]
            signed = await self._signers.sign(chunk.lane, [chunk.bodies[position] for position in positions])
            chunk.ready.extend(zip(positions, signed, strict=True))
            chunk.signing = None

        chunk.signing = asyncio.create_task(sign())
        return chunk.signing

    async def _attempt(self, chunk: ChunkInHand, position: int, request: SignedRequest, slot: Slot) -> None:
        """Send one request inside its slot and act on the answer; a task of its own, with log fields of its own."""
        _TASK_ID.set(chunk.task_ids[position])
        given = self._outage.pass_now()
        try:
            if given is None:
                given, slot = await self._turn(chunk, position)
            exchange, refusal = partial(self._platform.submit, request), partial(self._refusal, chunk, position)
            place = Place(chunk.chunk_id, position)
            answered = await self._call.once(exchange, slot, refusal=refusal, urgent=chunk.urgent, place=place)
        except NotSent as told:
            self._outage.unused(given)
            if told.reason == "held":
                self._keep_back(chunk, position)
            else:
                chunk.ready.appendleft((position, request))
        else:
            await self._hear(chunk, position, given, answered)
        finally:
            chunk.in_flight -= 1
            if chunk.to_sign or chunk.ready or not chunk.in_flight:
                chunk.changed.set()

    async def _hear(self, chunk: ChunkInHand, position: int, given: Pass, answered: Answered[Judgement]) -> None:
        """Tell an answer to everything that learns from it, and act on it."""
        chunk.sent += 1
        judgement = answered.judgement
        chunk.judgements[type(judgement).__name__] += 1
        self.trial.answered(chunk.run_number, chunk.brands[position], judgement)
        self._fault.answered(judgement)
        if self._outage.answered(given, answered.place, judgement):
            chunk.to_sign.append(position)
        else:
            await self._act(chunk, position, answered)
        if (hold := self._unverified.answered(judgement)) is not None:
            await self._fault.hold(hold, chunk.brands[position])

    async def _turn(self, chunk: ChunkInHand, position: int) -> tuple[Pass, Slot]:
        """Wait for the breaker's pass, and then for another slot: the one in hand passed long before.

        Raises:
            NotSent: neither came in time, or the request was stopped while it waited.
        """

        def given_up() -> Reason | None:
            return self._stops(chunk, position) or ("breaker" if chunk.over else None)

        try:
            given = await self._outage.pass_later(given_up)
            try:
                async with asyncio.timeout_at(chunk.hand_on_at):
                    return given, await self._slots.take(urgent=chunk.urgent)
            except (TimeoutError, SlotsClosedError) as error:
                self._outage.unused(given)
                late: Reason = "late" if isinstance(error, TimeoutError) else "stopping"
                raise NotSent(self._stops(chunk, position) or late) from None
        except NotSent as told:
            self._tell(Unsent("submit", told.reason, Place(chunk.chunk_id, position)))
            raise

    async def _act(self, chunk: ChunkInHand, position: int, answered: Answered[Judgement]) -> None:
        judgement, call = answered.judgement, answered.request_id
        match judgement:
            case Accepted():
                self._recorder.record(chunk.chunk_id, Move(position, "accept", tries=1, request_id=call))
            case Rejected(code=code, message=message, field=field):
                told = f"{message} ({field})" if field else message
                move = Move(position, "reject", tries=1, code=code, message=told, request_id=call)
                self._recorder.record(chunk.chunk_id, move)
            case Throttled():
                chunk.throttled += 1
                chunk.to_sign.append(position)
            case Retry():
                self._recorder.record(chunk.chunk_id, _retry(position, chunk.tries[position], judgement, call))
            case QueryFirst(code=code, message=message):
                move = Move(position, "look", tries=1, code=code, message=message, request_id=call)
                self._recorder.record(chunk.chunk_id, move)
            case Hold():
                await self._fault.hold(judgement, chunk.brands[position])
                if judgement.scope == "brand":
                    self._keep_back(chunk, position)

    def _keep_back(self, chunk: ChunkInHand, position: int) -> None:
        """Leave a spec whose brand is held where it is, and with it those of the chunk that are not signed yet."""
        chunk.kept_back[position] = brand_scope(chunk.brands[position])
        unsigned = chunk.keep_back(chunk.to_sign, self._halt.keeps_back)
        chunk.to_sign.clear()
        chunk.to_sign.extend(unsigned)

    def _stopped(self, chunk: ChunkInHand) -> bool:
        return chunk.lost or self._halt.stops(chunk.run_number)

    def _stops(self, chunk: ChunkInHand, position: int) -> Reason | None:
        """Return what keeps a spec of a chunk from being sent, whatever its slot; None when nothing does."""
        if self._halt.keeps_back(chunk.brands[position]):
            return "held"
        if chunk.lost:
            return "in doubt"
        return "stopping" if self._halt.stops(chunk.run_number) else None

    def _refusal(self, chunk: ChunkInHand, position: int) -> Reason | None:
        """Return what keeps a spec from being sent at this moment; asked last before its bytes leave."""
        if (reason := self._stops(chunk, position)) is not None:
            return reason
        return "in doubt" if self._in_doubt(chunk) else None

    def _in_doubt(self, chunk: ChunkInHand) -> bool:
        return chunk.sure_since != self._watch.returns

    async def _renew(self, chunk: ChunkInHand) -> None:
        """Keep the lease while the chunk is in hand; once it is lost nothing more of the chunk is sent.

        A Redis that is back is asked at once: it may have forgotten its last second, and the lease with it.
        """
        while not chunk.lost:
            await self._watch.returned(chunk.sure_since, self._timings.renew)
            asked_at, returns = time.monotonic(), self._watch.returns
            try:
                kept = await self._leases.renew(chunk.chunk_id, self._owner)
            except REDIS_AWAY as error:  # the lease runs out by itself if Redis stays away
                await self._watch.back(error)
                continue
            chunk.leased_until = asked_at + self._timings.lease if isinstance(kept, Renewed) else 0.0
            chunk.sure_since = returns
            chunk.asked.set()


def _retry(position: int, tries: int, told: Retry, request_id: str) -> Move:
    """Return the move after a failed try: wait and try again, or after the last try look what became of it."""
    jitter = random.random()  # noqa: S311 - no secret
    delay_seconds = retry_delay_seconds(tries + 1, jitter, told.retry_after_seconds)
    if delay_seconds is None:
        return Move(position, "look", tries=1, code=told.code, message=told.message, request_id=request_id)
    move = Move(position, "again", tries=1, code=told.code, message=told.message, request_id=request_id)
    return replace(move, delay_ms=round(delay_seconds * 1000))
