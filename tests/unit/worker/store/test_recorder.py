"""Moves are gathered, written together, and never lost while Redis is away."""

import asyncio

import pytest
import redis.exceptions

from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress_worker.events import Ended
from couponpress_worker.store.recorder import Recorder
from tests.builders import run_fast


class FakeLedger:
    """Takes moves, after as many failures as it is told."""

    def __init__(self, *troubles):
        self.troubles = list(troubles)
        self.tried = 0
        self.asked = asyncio.Event()
        self.written = []

    async def move(self, moves):
        self.tried += 1
        self.asked.set()
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop(0)
        self.written.append({chunk_id: list(steps) for chunk_id, steps in moves.items()})
        return {chunk_id: [True] * len(steps) for chunk_id, steps in moves.items()}


def accepted(position):
    return Move(position, "accept", tries=1)


def test_moves_recorded_together_are_written_in_one_round_trip():
    ledger = FakeLedger()

    async def act():
        recorder = Recorder(ledger)
        recorder.record("b1.1", accepted(0))
        recorder.record("b1.2", accepted(5))
        recorder.record("b1.1", accepted(1))
        await recorder.flush()

    run_fast(act())
    assert ledger.written == [{"b1.1": [accepted(0), accepted(1)], "b1.2": [accepted(5)]}]


def test_moves_of_one_spec_keep_their_order():
    ledger = FakeLedger()
    steps = [Move(0, "again", tries=1), Move(0, "release"), accepted(0)]

    async def act():
        recorder = Recorder(ledger)
        for step in steps:
            recorder.record("b1.1", step)
        await recorder.flush()

    run_fast(act())
    assert ledger.written == [{"b1.1": steps}]


def test_moves_that_come_during_a_write_are_written_next():
    ledger = FakeLedger()

    async def act():
        recorder = Recorder(ledger)
        recorder.record("b1.1", accepted(0))
        await ledger.asked.wait()
        recorder.record("b1.1", accepted(1))
        await recorder.flush()

    run_fast(act())
    assert [move for batch in ledger.written for move in batch["b1.1"]] == [accepted(0), accepted(1)]


def test_flush_does_not_wait_for_what_others_go_on_recording():
    ledger = FakeLedger()

    async def act():
        recorder = Recorder(ledger)
        recorder.record("b1.1", accepted(0))
        flushed = asyncio.create_task(recorder.flush())
        for position in range(1000):  # another chunk's stream, which has no end as far as the first one knows
            recorder.record("b1.2", accepted(position))
            await asyncio.sleep(0.002)
            if flushed.done():
                break
        assert position < 100
        await recorder.flush()

    run_fast(act())
    assert ledger.written[0]["b1.1"] == [accepted(0)]


def test_flushing_nothing_is_done_at_once():
    ledger = FakeLedger()
    run_fast(Recorder(ledger).flush())
    assert ledger.tried == 0


def test_a_recorder_that_was_idle_writes_again():
    ledger = FakeLedger()

    async def act():
        recorder = Recorder(ledger)
        for position in range(3):
            recorder.record("b1.1", accepted(position))
            await recorder.flush()

    run_fast(act())
    assert ledger.written == [{"b1.1": [accepted(position)]} for position in range(3)]


@pytest.mark.parametrize(
    "trouble",
    [
        redis.exceptions.ConnectionError("gone"),
        redis.exceptions.TimeoutError("slow"),
        redis.exceptions.BusyLoadingError("loading"),
        redis.exceptions.OutOfMemoryError("full"),
        redis.exceptions.ReadOnlyError("a replica"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_nothing_is_lost_while_redis_is_away(trouble):
    ledger = FakeLedger(*[trouble] * 20)

    async def act():
        recorder = Recorder(ledger)
        recorder.record("b1.1", accepted(0))
        await asyncio.sleep(3)
        recorder.record("b1.1", accepted(1))
        await recorder.flush()

    run_fast(act())
    assert [move for batch in ledger.written for move in batch["b1.1"]] == [accepted(0), accepted(1)]


def test_flush_waits_until_redis_is_back():
    ledger = FakeLedger(*[redis.exceptions.ConnectionError("gone")] * 5)

    async def act():
        recorder = Recorder(ledger)
        recorder.record("b1.1", accepted(0))
        await recorder.flush()
        assert ledger.written

    run_fast(act())
    assert ledger.tried == 6


def test_a_caller_that_stops_waiting_does_not_stop_the_writing():
    ledger = FakeLedger(*[redis.exceptions.ConnectionError("gone")] * 5)

    async def act():
        recorder = Recorder(ledger)
        recorder.record("b1.1", accepted(0))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(recorder.flush(), 1)
        assert not ledger.written
        await recorder.flush()

    run_fast(act())
    assert ledger.written == [{"b1.1": [accepted(0)]}]


def test_each_time_that_redis_did_not_answer_is_heard():
    trouble = redis.exceptions.ConnectionError("gone")
    ledger, heard = FakeLedger(*[trouble] * 9), []

    async def act():
        recorder = Recorder(ledger, heard.append)
        recorder.record("b1.1", accepted(0))
        await recorder.flush()

    run_fast(act())
    assert heard == [trouble] * 9


def test_an_outcome_is_told_once_the_ledger_has_it():
    ledger, told = FakeLedger(redis.exceptions.ConnectionError("gone")), []

    async def act():
        recorder = Recorder(ledger, tell=lambda event: told.append((event, len(ledger.written))))
        recorder.record("b1.1", accepted(0))
        recorder.record("b1.1", Move(1, "reject", code="PARAM_ERROR"))
        await recorder.flush()

    run_fast(act())
    assert told == [(Ended(Place("b1.1", 1), State.REJECTED, "PARAM_ERROR", "submit"), 1)]
