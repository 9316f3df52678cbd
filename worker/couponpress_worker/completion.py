"""What a callback or a query says about a picture, and how it is booked.

Decides which move a task's state leads to, and gathers completions that arrive together into two round trips.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from couponpress.ledger.working import Move, WorkLedger
from couponpress.outcome import State
from couponpress_worker.judgement import Again, Completed, Processing, read_task

#: Completions are gathered for so long, so that those of a busy moment share their round trips. The platform waits 5 s.
GATHER_SECONDS = 0.01
#: The platform states no reason for a failure: no source shows a field for one.
FAIL_CODE = "FAIL"
FAIL_MESSAGE = "the platform could not make the picture; it gives no reason"


def move_of(reading: Completed | Processing, position: int) -> Move:
    """Return the move of a spec whose task reads so.

    A late PROCESSING never undoes an end: the ledger lets `accept` leave open states only.
    """
    match reading:
        case Processing():
            return Move(position, "accept")
        case Completed(state=State.SUCCEEDED, image_url=url):
            return Move(position, "succeed", image_url=url)
        case _:
            return Move(position, "fail", code=FAIL_CODE, message=FAIL_MESSAGE)


class Completer:
    """Books completions; those that arrive within a moment share their round trips."""

    def __init__(self, ledger: WorkLedger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[Mapping[str, Any], asyncio.Future[str]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def complete(self, task: Mapping[str, Any]) -> str:
        """Book one task's state. Returns `done`, `repeated` (nothing left to change), `unknown` or `unreadable`.

        Raises:
            redis.exceptions.RedisError: nothing is booked; the caller must ask for a repetition.
        """
        booked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, booked))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await booked

    async def _write(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                batch, self._waiting = self._waiting, []
                try:
                    results = await self._book([task for task, _ in batch])
                except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
                    for _, booked in batch:
                        if not booked.done():
                            booked.set_exception(error)
                else:
                    for (_, booked), result in zip(batch, results, strict=True):
                        if not booked.done():
                            booked.set_result(result)
        finally:
            self._writer = None

    async def _book(self, tasks: list[Mapping[str, Any]]) -> list[str]:
        places = await self._ledger.places([_task_id(task) for task in tasks])
        results = ["unknown" if place is None else "unreadable" for place in places]
        moves: dict[str, list[Move]] = defaultdict(list)
        origin: dict[str, list[int]] = defaultdict(list)
        for number, (task, place) in enumerate(zip(tasks, places, strict=True)):
            reading = read_task(task)
            if place is not None and not isinstance(reading, Again):
                moves[place.chunk_id].append(move_of(reading, place.position))
                origin[place.chunk_id].append(number)
        if moves:
            for chunk_id, made in (await self._ledger.move(moves)).items():
                for number, one in zip(origin[chunk_id], made, strict=True):
                    results[number] = "done" if one else "repeated"
        return results


def _task_id(task: Mapping[str, Any]) -> str:
    """Return a task's id, or the empty one, which is never known, for what cannot be an id of ours."""
    task_id = task.get("task_id")
    return task_id if isinstance(task_id, str) and task_id.isascii() else ""
