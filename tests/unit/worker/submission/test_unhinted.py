"""Chunks without hints, with leases and a submitter that are handed in."""

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from couponpress_worker.submission.unhinted import LOOK_EVERY_SECONDS, QUIET_SECONDS, Unhinted
from tests.builders import run_fast


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

        unhinted = Unhinted(leases, submit, heard.append, stopping)
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
    assert looked(LeasesInHand("b1.1"), 20, hinted_every=QUIET_SECONDS / 2) == ([], [])


def test_a_process_whose_hints_end_looks_for_itself():
    taken, _ = looked(LeasesInHand("b1.1"), 12, hinted_every=10)
    assert [chunk_id for chunk_id, _ in taken] == ["b1.1"]
    assert QUIET_SECONDS <= taken[0][1] <= QUIET_SECONDS + 2 * LOOK_EVERY_SECONDS


def test_no_more_than_its_hands_can_hold():
    assert looked(LeasesInHand("b1.1", in_hand=CHUNKS_IN_HAND), 5) == ([], [])
    chunks = [f"b1.{number}" for number in range(20)]
    assert len(looked(LeasesInHand(*chunks, in_hand=CHUNKS_IN_HAND - 3), LOOK_EVERY_SECONDS / 2)[0]) == 3


def test_a_process_that_ends_takes_up_nothing():
    assert looked(LeasesInHand("b1.1"), 5, stopping=lambda: True) == ([], [])


def test_it_goes_on_when_redis_is_back():
    taken, heard = looked(LeasesInHand("b1.1", failures=3), 5)
    assert (len(taken), len(heard)) == (1, 3)
