"""Items that arrive together are written together; each caller hears of its own write."""

import asyncio

import pytest

from couponpress.transport.batching import MOST_AT_ONCE, Batcher
from tests.builders import run_fast


class Written:
    """Keeps every batch; refuses those that hold a bad item."""

    def __init__(self):
        self.batches = []

    async def write(self, items):
        self.batches.append(items)
        await asyncio.sleep(0.5)
        if "bad" in items:
            raise ConnectionError("Redis is away")
        return [item * 2 for item in items]


def put(*groups, pause=10.0):
    """Put each group of items at once, the groups one after the other. Returns results and batches."""

    async def act():
        written = Written()
        batcher, results = Batcher(written.write), []
        for group in groups:
            results += await asyncio.gather(*map(batcher.put, group), return_exceptions=True)
            await asyncio.sleep(pause)
        return results, written.batches

    return run_fast(act())


def test_what_arrives_together_is_written_together_and_answered_in_order():
    assert put([1, 2, 3]) == ([2, 4, 6], [[1, 2, 3]])


def test_what_arrives_later_is_written_later():
    assert put([1], [2]) == ([2, 4], [[1], [2]])


def test_a_burst_is_written_in_pieces():
    results, batches = put(range(MOST_AT_ONCE * 2 + 1))
    assert [len(batch) for batch in batches] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]
    assert results == [2 * number for number in range(MOST_AT_ONCE * 2 + 1)]


def test_a_batch_waits_for_more_until_there_are_enough():
    async def act():
        written = Written()
        batcher = Batcher(written.write, seconds=60, enough=3)
        first = [asyncio.create_task(batcher.put(item)) for item in (1, 2)]
        await asyncio.sleep(59)
        assert not written.batches
        assert await batcher.put(3) == 6
        assert written.batches == [[1, 2, 3]]
        assert [one.result() for one in first] == [2, 4]
        assert await batcher.put(4) == 8  # after a minute: nobody came

    run_fast(act())


def test_trouble_is_told_to_all_that_went_together_and_to_no_other():
    results, _ = put(["bad", "x"], ["y"])
    assert [type(one) for one in results] == [ConnectionError, ConnectionError, str]


def test_nobody_hears_before_the_write():
    async def act():
        written = Written()
        batcher = Batcher(written.write)
        one = asyncio.create_task(batcher.put(1))
        await asyncio.sleep(0.3)
        assert written.batches == [[1]]
        assert not one.done()
        assert await one == 2

    run_fast(act())


@pytest.mark.parametrize("when", [0, 0.3])
def test_a_caller_that_gives_up_spoils_nothing(when):
    async def act():
        written = Written()
        batcher = Batcher(written.write)
        gone, stays = (asyncio.create_task(batcher.put(item)) for item in (1, 2))
        await asyncio.sleep(when)
        gone.cancel()
        assert await stays == 4

    run_fast(act())
