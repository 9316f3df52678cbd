"""The urgent lane, with a ledger and a submitter that are handed in."""

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress_worker.submission.urgent import MOST_IN_HAND, UrgentLane
from tests.waiting import until


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
    lane = LaneInHand(*(f"u1.{number}" for number in range(2 * MOST_IN_HAND)))
    in_hand, most = set(), 0

    async def submit(chunk_id):
        nonlocal most
        in_hand.add(chunk_id)
        most = max(most, len(in_hand))
        await asyncio.sleep(0.01)
        in_hand.discard(chunk_id)
        lane.open.remove(chunk_id)

    run(lane, submit, lambda: not lane.open)
    assert most == MOST_IN_HAND


def test_it_goes_on_when_redis_is_back(monkeypatch):
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
