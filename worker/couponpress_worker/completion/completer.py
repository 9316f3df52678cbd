"""Writes what callbacks say about pictures to the ledger, many in two round trips.

Completions that arrive within a moment are batched: one round trip finds the specs, one makes their moves. Which move a
task's state leads to is decided in `moves`. If Redis does not answer, `complete` raises, and its caller asks the
platform to repeat the callback.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from couponpress.ledger.fleet_queries import FleetQueries
from couponpress.ledger.moves import Move, MoveLedger
from couponpress.transport.batching import Batcher
from couponpress_worker.completion.moves import move_of
from couponpress_worker.events import Tell, unheard
from couponpress_worker.store.endings import tell_endings
from couponpress_worker.wechatpay.judgement import Retry, read_task

#: What became of a completion: `done`; `repeated`: it changed nothing; `unknown`: no spec has its task_id;
#: `unreadable`: it does not say how the task ended.
Booked = Literal["done", "repeated", "unknown", "unreadable"]

#: Completions wait so long for others, or until there are so many: at the limit those of one chunk then share a write.
#: A platform that keeps 64 callbacks on the wire is not held up.
GATHER_SECONDS, ENOUGH = 0.04, 32


class Completer:
    """Writes completions to the ledger; those that arrive within a moment share their round trips."""

    def __init__(self, queries: FleetQueries, moves: MoveLedger, tell: Tell = unheard) -> None:
        """Take the parts of the ledger, and what hears of each spec that has its outcome."""
        self._queries = queries
        self._moves = moves
        self._tell = tell
        self._batcher: Batcher[tuple[Mapping[str, Any], str], Booked] = Batcher(
            self._book, seconds=GATHER_SECONDS, enough=ENOUGH
        )

    async def complete(self, task: Mapping[str, Any], notice_id: str = "") -> Booked:
        """Book one task's state, and the id of the callback that told it.

        Raises:
            redis.exceptions.RedisError: it is not known to be booked; the caller must ask for a repetition.
        """
        return await self._batcher.put((task, notice_id))

    async def _book(self, told: list[tuple[Mapping[str, Any], str]]) -> list[Booked]:
        places = await self._queries.places([_task_id(task) for task, _ in told])
        results: list[Booked] = ["unknown" if place is None else "unreadable" for place in places]
        moves: dict[str, list[Move]] = defaultdict(list)
        origin: dict[str, list[int]] = defaultdict(list)
        for number, ((task, notice_id), place) in enumerate(zip(told, places, strict=True)):
            reading = read_task(task)
            if place is not None and not isinstance(reading, Retry):
                moves[place.chunk_id].append(replace(move_of(reading, place.position), heard_by=notice_id))
                origin[place.chunk_id].append(number)
        if moves:
            made = await self._moves.move(moves, by="callback")
            tell_endings(self._tell, moves, made, "callback")
            for chunk_id, of_chunk in made.items():
                for number, one in zip(origin[chunk_id], of_chunk, strict=True):
                    results[number] = "done" if one else "repeated"
        return results


def _task_id(task: Mapping[str, Any]) -> str:
    """Return a task's id, or the empty one, which is never known, for what cannot be an id of ours."""
    task_id = task.get("task_id")
    return task_id if isinstance(task_id, str) and task_id.isascii() else ""
