"""Chunks without hints and urgent chunks, with a ledger and a submitter that are handed in."""

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress_worker.submission.ledger_poller import (
    MOST_URGENT,
    Unhinted,
    UrgentLane,
)
from couponpress_worker.timings import REAL
from tests.builders import run_fast
from tests.waiting import until

IN_HAND = 5


class LeasesInHand:
    """As many untaken chunks as are named, and so many in hand."""

    def __init__(self, *chunk_ids, in_hand=0, failures=0):
        self.open, self.in_hand, self.failures = list(chunk_ids), in_hand, failures

    async def untaken(self, limit):
        if self.failures:
            self.failures -= 1
            raise RedisConnectionError("away")
        return self.open[:limit]


def looked(leases, seconds, *, hinted_every=None, stopping=lambda: False):
    """Let it look for so many seconds; returns when which chunk was taken up, and what was heard of Redis."""
    taken, heard = [], []

    async def main():
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        since = loop.time()

        async def submit(chunk_id):
            leases.open.remove(chunk_id)
            taken.append((chunk_id, round(loop.time() - since)))
            await asyncio.sleep(1)

        unhinted = Unhinted(leases, submit, heard.append, stopping, most_in_hand=IN_HAND)
        running = asyncio.create_task(unhinted.run(stopped))
        while loop.time() - since < seconds:
            if hinted_every:
                unhinted.hinted()
            await asyncio.sleep(hinted_every or seconds)
        stopped.set()
        await running

    run_fast(main())
    return taken, heard


def test_a_process_without_hints_takes_up_what_nobody_has():
    assert looked(LeasesInHand("b1.1", "b1.2"), 3)[0] == [("b1.1", 0), ("b1.2", 0)]


def test_a_process_with_hints_leaves_the_rest_to_them():
    assert looked(LeasesInHand("b1.1"), 20, hinted_every=REAL.unhinted_quiet / 2) == ([], [])


def test_a_process_whose_hints_end_looks_for_itself():
    taken, _ = looked(LeasesInHand("b1.1"), 12, hinted_every=10)
    assert [chunk_id for chunk_id, _ in taken] == ["b1.1"]
    assert REAL.unhinted_quiet <= taken[0][1] <= REAL.unhinted_quiet + 2 * REAL.unhinted_look


def test_no_more_than_its_hands_can_hold():
    assert looked(LeasesInHand("b1.1", in_hand=IN_HAND), 5) == ([], [])
    chunks = [f"b1.{number}" for number in range(20)]
    assert len(looked(LeasesInHand(*chunks, in_hand=IN_HAND - 3), REAL.unhinted_look / 2)[0]) == 3


def test_a_process_that_ends_takes_up_nothing():
    assert looked(LeasesInHand("b1.1"), 5, stopping=lambda: True) == ([], [])


def test_looking_without_hints_goes_on_when_redis_is_back():
    taken, heard = looked(LeasesInHand("b1.1", failures=3), 5)
    assert (len(taken), len(heard)) == (1, 3)


class LaneInHand:
    def __init__(self, *chunk_ids):
        self.open = list(chunk_ids)
        self.away = 0

    async def waiting(self, lane, limit):
        assert lane == "urgent"
        if self.away:
            self.away -= 1
            raise RedisConnectionError("away")
        return self.open[:limit]


def run(lane, submit, ended):
    async def main():
        stopped = asyncio.Event()
        urgent = UrgentLane(lane, submit)
        running = asyncio.create_task(urgent.run(stopped))
        await until(ended)
        stopped.set()
        await running

    asyncio.run(main())


def test_what_waits_is_taken_up_once():
    lane, submitted = LaneInHand("u1.1", "u1.2"), []

    async def submit(chunk_id):
        submitted.append(chunk_id)
        await asyncio.sleep(0.12)  # longer than two looks: it is still in hand at the next ones
        lane.open.remove(chunk_id)

    run(lane, submit, lambda: not lane.open)
    assert sorted(submitted) == ["u1.1", "u1.2"]


def test_a_process_takes_no_more_in_hand_than_it_has_room_for():
    lane = LaneInHand(*(f"u1.{number}" for number in range(2 * MOST_URGENT)))
    in_hand, most = set(), 0

    async def submit(chunk_id):
        nonlocal most
        in_hand.add(chunk_id)
        most = max(most, len(in_hand))
        await asyncio.sleep(0.01)
        in_hand.discard(chunk_id)
        lane.open.remove(chunk_id)

    run(lane, submit, lambda: not lane.open)
    assert most == MOST_URGENT


def test_the_urgent_lane_goes_on_when_redis_is_back():
    lane, submitted = LaneInHand("u1.1"), []
    lane.away = 1

    async def submit(chunk_id):
        submitted.append(chunk_id)
        lane.open.clear()

    run(lane, submit, lambda: submitted)
    assert submitted == ["u1.1"]


def test_a_chunk_whose_redis_went_away_is_left_to_recovery_and_may_come_again():
    lane, tries = LaneInHand("u1.1"), []

    async def submit(chunk_id):
        tries.append(chunk_id)
        if len(tries) == 1:
            raise RedisConnectionError("away")
        lane.open.clear()

    run(lane, submit, lambda: len(tries) == 2)


def test_stopping_waits_for_the_chunks_in_hand():
    lane, ended = LaneInHand("u1.1"), []
    begun = []

    async def submit(chunk_id):
        begun.append(chunk_id)
        lane.open.clear()
        await asyncio.sleep(0.1)
        ended.append(chunk_id)

    run(lane, submit, lambda: begun)
    assert ended == ["u1.1"]
