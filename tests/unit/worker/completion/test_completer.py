"""What a callback or a query says becomes a move, and moves that arrive together are booked together."""

import asyncio

import pytest
import redis.exceptions

from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress_worker.completion.completer import Completer
from couponpress_worker.completion.moves import FAIL_CODE, FAIL_MESSAGE, move_of
from couponpress_worker.events import Ended, unheard
from couponpress_worker.wechatpay.judgement import Completed, Processing
from tests.builders import PICTURE


def task(task_id="task-1", state="SUCCESS", **more):
    result = {"cut_out_result": {"image_url": PICTURE}} if state == "SUCCESS" else {}
    return {"brand_id": "1", "task_id": task_id, "task_state": state, **result, **more}


class FakeLedger:
    """Knows the places it is given, makes every first move of a place, and counts round trips."""

    def __init__(self, places):
        self.known = places
        self.batches = []
        self.ended = set()
        self.trouble = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def places(self, task_ids):
        await self.gate.wait()
        if self.trouble:
            raise self.trouble
        self.batches.append(list(task_ids))
        return [self.known.get(task_id) for task_id in task_ids]

    async def move(self, moves, *, by):
        assert by == "callback"
        made = {}
        for chunk_id, steps in moves.items():
            made[chunk_id] = []
            for step in steps:
                made[chunk_id].append((chunk_id, step.position) not in self.ended)
                self.ended.add((chunk_id, step.position))
        self.moves = moves
        return made


def places(*task_ids):
    return {task_id: Place("b1.1", position) for position, task_id in enumerate(task_ids)}


def completed(ledger, *tasks, tell=unheard):
    """What `complete` says of tasks that arrive at the same moment."""

    async def run():
        completer = Completer(ledger, ledger, tell)
        return await asyncio.gather(*(completer.complete(one) for one in tasks))

    return asyncio.run(run())


def test_what_is_booked_is_told_and_a_repetition_is_not():
    told = []
    ledger = FakeLedger(places("cut-out-1"))
    for _ in range(2):
        completed(ledger, task("cut-out-1"), tell=told.append)
    assert told == [Ended(Place("b1.1", 0), State.SUCCEEDED, "", "callback")]


def test_a_made_picture_is_a_success_with_its_url():
    assert move_of(Completed(State.SUCCEEDED, PICTURE), 7) == Move(7, "succeed", image_url=PICTURE)


def test_a_failure_gets_a_reason_although_the_platform_gives_none():
    assert move_of(Completed(State.FAILED), 7) == Move(7, "fail", code=FAIL_CODE, message=FAIL_MESSAGE)


def test_a_task_in_the_making_is_accepted():
    assert move_of(Processing(), 7) == Move(7, "accept")


def test_a_known_task_is_booked_at_its_place():
    ledger = FakeLedger({"task-1": Place("b1.3", 42)})
    assert completed(ledger, task()) == ["done"]
    assert ledger.moves == {"b1.3": [Move(42, "succeed", image_url=PICTURE)]}


def test_the_same_task_again_changes_nothing():
    ledger = FakeLedger(places("task-1"))
    assert completed(ledger, task()) == ["done"]
    assert completed(ledger, task()) == ["repeated"]


def test_the_same_task_twice_at_the_same_moment_is_booked_once():
    assert completed(FakeLedger(places("task-1")), task(), task()) == ["done", "repeated"]


def test_a_task_of_somebody_else_is_unknown():
    assert completed(FakeLedger({}), task()) == ["unknown"]


@pytest.mark.parametrize("state", ["MADE", "", None, 1, 1e308, [], {"a": 1}, "\ud800"], ids=ascii)
def test_a_state_that_is_not_known_is_unreadable(state):
    assert completed(FakeLedger(places("task-1")), task(state=state)) == ["unreadable"]


@pytest.mark.parametrize(
    "result",
    [None, {}, {"cut_out_result": None}, {"cut_out_result": {"image_url": ""}}, {"cut_out_result": "x"}],
    ids=str,
)
def test_a_success_without_picture_is_unreadable(result):
    told = {"task_id": "task-1", "task_state": "SUCCESS", **(result or {})}
    assert completed(FakeLedger(places("task-1")), told) == ["unreadable"]


@pytest.mark.parametrize(
    "task_id", [None, 1, 10**400, "", "\ud800", "任务", ["task-1"], {}], ids=lambda one: ascii(one)[:20]
)
def test_what_cannot_be_a_task_id_is_unknown(task_id):
    assert completed(FakeLedger(places("task-1")), task(task_id=task_id)) == ["unknown"]


def test_one_odd_task_does_not_spoil_those_that_arrive_with_it():
    ledger = FakeLedger(places("task-1", "task-2"))
    told = completed(ledger, task("task-1"), task("task-1", "MADE"), task("other"), task("task-2", "FAIL"))
    assert told == ["done", "unreadable", "unknown", "done"]


def test_tasks_of_several_chunks_get_their_own_answers():
    ledger = FakeLedger({"task-1": Place("b1.1", 0), "task-2": Place("b1.2", 0), "task-3": Place("b1.1", 1)})
    ledger.ended = {("b1.2", 0)}
    assert completed(ledger, task("task-1"), task("task-2"), task("task-3")) == ["done", "repeated", "done"]


def test_tasks_that_arrive_during_a_write_share_the_next_one():
    ledger = FakeLedger(places("task-0", *(f"task-{number}" for number in range(1, 50))))

    async def run():
        completer = Completer(ledger, ledger)
        ledger.gate.clear()
        first = asyncio.create_task(completer.complete(task("task-0")))
        await asyncio.sleep(0)
        others = [asyncio.create_task(completer.complete(task(f"task-{number}"))) for number in range(1, 50)]
        await asyncio.sleep(0)
        ledger.gate.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(run()) == ["done"] * 50
    assert len(ledger.batches) <= 2


def test_when_redis_is_away_every_waiting_caller_learns_it():
    ledger = FakeLedger(places("task-1", "task-2"))
    ledger.trouble = redis.exceptions.ConnectionError("gone")

    async def run():
        completer = Completer(ledger, ledger)
        waiting = [completer.complete(task("task-1")), completer.complete(task("task-2"))]
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert asyncio.run(run()) == [ledger.trouble] * 2


def test_when_redis_is_back_completions_are_booked_again():
    ledger = FakeLedger(places("task-1"))

    async def run():
        completer = Completer(ledger, ledger)
        ledger.trouble = redis.exceptions.TimeoutError("slow")
        with pytest.raises(redis.exceptions.TimeoutError):
            await completer.complete(task())
        ledger.trouble = None
        return await completer.complete(task())

    assert asyncio.run(run()) == "done"


def test_a_caller_that_went_away_does_not_spoil_the_others():
    ledger = FakeLedger(places("task-1", "task-2"))

    async def run():
        completer = Completer(ledger, ledger)
        ledger.gate.clear()
        gone = asyncio.create_task(completer.complete(task("task-1")))
        stays = asyncio.create_task(completer.complete(task("task-2")))
        await asyncio.sleep(0)
        gone.cancel()
        ledger.gate.set()
        return await stays

    assert asyncio.run(run()) == "done"
    assert ("b1.1", 0) in ledger.ended
