"""Queries the platform about specs without a callback, within the query limit.

Two kinds are queried: specs whose submission ended open (looks), and specs that were accepted so long ago that every
repetition of the callback has passed (overdue). The oldest come first, and runs take turns. Callbacks are the main
channel: at 20 queries a second, a hundred thousand specs would take 83 minutes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil

from structlog.contextvars import bind_contextvars

from couponpress.errors import DamagedChunkError
from couponpress.keys import PARTNER_SCOPE, run_of
from couponpress.ledger.chunks import CHUNK_SIZE, Row
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE
from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.moves import Move
from couponpress.ledger.working import WorkLedger
from couponpress_worker.completion.moves import (
    EXPIRED_CODE,
    move_after_look,
    move_when_absent,
    move_when_overdue,
    query_code,
)
from couponpress_worker.completion.round_robin import in_turns
from couponpress_worker.events import Answered, Tell, unheard
from couponpress_worker.rate.call import PacedCall
from couponpress_worker.rate.slots import Slots, SlotsClosedError
from couponpress_worker.store.endings import tell_endings
from couponpress_worker.store.run_names import RunNames
from couponpress_worker.wechatpay.client import Gate, NotSent, Reason, WeChatPay
from couponpress_worker.wechatpay.judgement import (
    Answer,
    Hold,
    NoAnswer,
    NotFound,
    QueryJudgement,
    Rejected,
    Retry,
    judge_query,
)
from couponpress_worker.wechatpay.retry import QUERY_AGAIN_SECONDS

log = logging.getLogger(__name__)

#: How many specs one round asks about: five seconds of the platform's query limit. They wait for their slots together,
#: so that a slow answer holds up no other query.
ROUND = 100
#: How far a round looks for runs that have their turn: this many looks, and this many chunks of up to 100 specs.
LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """One spec to ask about.

    Attributes:
        place: where it stands.
        row: what it is.
        made: when its chunk was made: by the time of the answer another one may have the chunk's id.
        tries: how many it has spent: by the time of the answer it may have been sent again.
        accepted_seconds_ago: when a spec of its chunk was last accepted; None for a look.
    """

    place: Place
    row: Row
    made: bytes
    tries: int
    accepted_seconds_ago: float | None = None


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
        tell: Tell = unheard,
    ) -> None:
        self._run_name = RunNames(ledger.queries).of
        self._queries, self._moves, self._holds = ledger.queries, ledger.moves, ledger.holds
        self._platform = platform
        self._tell = tell
        self._call = PacedCall("query", slots, judge_query, tell)
        self._callback_span_seconds = callback_span_seconds
        self._expire_after_seconds = expire_after_seconds
        #: Of each overdue chunk, the positions that were asked about since it became overdue. Lost with the process:
        #: the next leader asks about them again.
        self._asked: dict[str, set[int]] = {}
        #: The platform refuses every query: nothing more is asked in this round.
        self._refused = False

    async def turn(self, may_ask: Callable[[], Awaitable[bool]]) -> int:
        """Make one round, unless this process sends nothing more; returns how many specs were asked about."""
        try:
            return await self.round(may_ask)
        except SlotsClosedError:
            return 0

    async def round(self, may_ask: Callable[[], Awaitable[bool]]) -> int:
        """Ask about the specs whose turn it is, and book what comes back; a wrong set-up ends it at once.

        Returns how many were asked about and answered.
        """
        self._refused = False
        questions = await self._questions()
        # All of them end before one's trouble is told, for a Redis call that is cancelled may swallow it.
        asked = await asyncio.gather(*(self._ask(one, may_ask) for one in questions), return_exceptions=True)
        for one in asked:
            if isinstance(one, BaseException):
                raise one
        for chunk_id in {one.place.chunk_id for one in questions if one.accepted_seconds_ago is not None}:
            await self._close_pass(chunk_id)
        return sum(map(bool, asked))

    async def _questions(self) -> list[Question]:
        """Choose the specs of a round: of every run as many, its looks first, then its oldest chunk and the next."""
        due, silent = await asyncio.gather(
            self._queries.due_looks(LOOKED_AT), self._queries.overdue_chunks(self._callback_span_seconds, LOOKED_AT)
        )
        looks: dict[str, list[Place]] = defaultdict(list)
        for place in due:
            looks[run_of(place.chunk_id)].append(place)
        chunks: dict[str, list[str]] = defaultdict(list)
        for chunk_id in silent:
            chunks[run_of(chunk_id)].append(chunk_id)
        overdue = {chunk_id for of_run in chunks.values() for chunk_id in of_run}
        self._asked = {chunk_id: done for chunk_id, done in self._asked.items() if chunk_id in overdue}
        runs = dict.fromkeys([*looks, *chunks])
        share = ceil(ROUND / len(runs)) if runs else 0
        chosen = {}
        for run in runs:
            await self._run_name(run)  # known by now, so that no question waits for it and loses its turn
            found = await self._looks(looks[run][:share])
            chosen[run] = found + await self._overdue(chunks[run], share - len(found))
        return list(islice(in_turns(chosen), ROUND))

    async def _looks(self, places: Iterable[Place]) -> list[Question]:
        found = []
        for place in places:
            try:
                rows, states, tries, made = await self._queries.standing(place.chunk_id)
            except DamagedChunkError as error:
                given_up = Move(
                    place.position, "expire", code=DEAD_LETTER_CODE, message=f"it cannot be queried: {error}"
                )
                await self._move({place.chunk_id: [given_up]})
                await self._queries.drop_look(place)
                continue
            if rows and states[place.position] == "l":
                found.append(Question(place, rows[place.position], made, tries[place.position]))
            else:
                await self._queries.drop_look(place)
        return found

    async def _overdue(self, chunk_ids: Iterable[str], most: int) -> list[Question]:
        """Choose accepted specs of a run's chunks, the oldest chunk first, without those asked about in this pass."""
        found: list[Question] = []
        for chunk_id in chunk_ids:
            if len(found) >= most:
                break
            ago = await self._queries.accepted_seconds_ago(chunk_id)
            try:
                rows, states, tries, made = await self._queries.standing(chunk_id)
            except DamagedChunkError as error:
                await self._pass_over(chunk_id, ago, error)
                continue
            done = self._asked.get(chunk_id, set())
            accepted = (position for position, letter in enumerate(states) if letter == "a" and position not in done)
            of_chunk = [Question(Place(chunk_id, one), rows[one], made, tries[one], ago) for one in accepted]
            if not of_chunk:
                await self._close_pass(chunk_id)
            found += of_chunk[: most - len(found)]
        return found

    async def _pass_over(self, chunk_id: str, ago_seconds: float, error: DamagedChunkError) -> None:
        """Leave a chunk whose rows cannot be read to callbacks, till the deadline: they find its specs by the index."""
        log.warning("chunk %s cannot be queried: %s", chunk_id, error)
        if ago_seconds > self._expire_after_seconds:
            message = f"accepted, but it cannot be queried: {error}"
            moves = [Move(position, "expire", code=EXPIRED_CODE, message=message) for position in range(CHUNK_SIZE)]
            await self._move({chunk_id: moves})
        await self._queries.queried(chunk_id)

    async def _move(self, moves: dict[str, list[Move]], made_when: dict[str, bytes] | None = None) -> None:
        """Make moves, of the chunks that were made then, and tell of the specs that have their outcome by them."""
        tell_endings(self._tell, moves, await self._moves.move(moves, made_when, by="query"), "query")

    async def _close_pass(self, chunk_id: str) -> None:
        """Note that a chunk was queried, once all of its accepted specs were: its silence starts anew."""
        _, states = await self._queries.rows(chunk_id)
        done = self._asked.get(chunk_id, set())
        if all(position in done for position, letter in enumerate(states) if letter == "a"):
            await self._queries.queried(chunk_id)
            self._asked.pop(chunk_id, None)

    async def _ask(self, question: Question, may_ask: Callable[[], Awaitable[bool]]) -> bool:
        place = question.place
        run, task_id = await self._run_name(run_of(place.chunk_id)), question.row.body_fields()["task_id"]
        bind_contextvars(run=run, chunk=place.chunk_id, task_id=task_id)  # of this question's own task
        asked = await self._query(question, may_ask)
        if asked is None:
            return False
        judgement = asked.judgement
        if question.accepted_seconds_ago is None:
            move = await self._move_after_look(judgement, place)
        else:
            self._asked.setdefault(place.chunk_id, set()).add(place.position)
            spans = (self._expire_after_seconds, self._callback_span_seconds)
            move = move_when_overdue(judgement, place.position, question.tries, question.accepted_seconds_ago, *spans)
        if move is not None and isinstance(judgement, NotFound):  # which is no answer to a try that was made since
            move = replace(move, after_tries=question.tries)
        if move is not None and move.name in {"reject", "expire"} and not move.request_id:
            move = replace(move, request_id=asked.request_id)
        # A query that changes nothing is noted all the same, for whoever wants to know what is done about the spec.
        noted = move or Move(place.position, "asked", code=query_code(judgement))
        noted = replace(noted, heard_by=asked.request_id)
        await self._move({place.chunk_id: [noted]}, {place.chunk_id: question.made})
        if move is None and question.accepted_seconds_ago is None:
            await self._queries.postpone_look(place, round(QUERY_AGAIN_SECONDS * 1000))
        return True

    async def _move_after_look(self, judgement: QueryJudgement, place: Place) -> Move | None:
        """What becomes of a spec whose submitting ended open."""
        match judgement:
            case NotFound():
                return move_when_absent(place.position, *await self._queries.history(place))
            case Rejected(code=code, message=message):
                return Move(place.position, "reject", code=code, message=f"open, and the query is refused: {message}")
            case _:
                ago = await self._queries.looking_seconds(place)
                return move_after_look(judgement, place.position, ago, self._expire_after_seconds)

    async def _query(
        self, question: Question, may_ask: Callable[[], Awaitable[bool]]
    ) -> Answered[QueryJudgement] | None:
        """Ask. None when nothing was asked or the platform refuses every query: then the partner is held."""
        asked = await self._answer(question, may_ask)
        if asked is None:
            return None
        judgement = asked.judgement
        if isinstance(judgement, Hold):
            log.error(
                "a query was refused: %s %s (Request-ID %s). %s",
                judgement.code,
                judgement.message,
                judgement.request_id or "none",
                judgement.cure,
            )
            if judgement.scope == "partner":
                self._refused = True
                reason = f"{judgement.code}: {judgement.message}"
                if judgement.request_id:
                    reason += f" (Request-ID {judgement.request_id})"
                await self._holds.hold(PARTNER_SCOPE, reason, judgement.cure, time.time())
                return None
        if isinstance(judgement, Retry):
            log.info(
                "a query failed and is repeated later: %s %s (Request-ID %s)",
                judgement.code,
                judgement.message,
                asked.request_id or "none",
            )
        return asked

    async def _answer(
        self, question: Question, may_ask: Callable[[], Awaitable[bool]]
    ) -> Answered[QueryJudgement] | None:
        """Query inside a slot; one that passes unused is followed by another. None once nothing may be asked."""
        body = question.row.body_fields()

        async def exchange(gate: Gate) -> Answer | NoAnswer:
            if not await may_ask():
                raise NotSent("stopping")
            return await self._platform.query(body["task_id"], body["brand_id"], body["image_generation_type"], gate)

        def refusal() -> Reason | None:
            return "held" if self._refused else None

        try:
            return await self._call.in_time(exchange, refusal=refusal, place=question.place)
        except NotSent:
            return None
