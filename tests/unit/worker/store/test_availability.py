"""Whether Redis answers, with a Redis that is handed in: said once, waited for, no slots meanwhile."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from couponpress_worker.events import RedisAway, RedisBack, unheard
from couponpress_worker.rate.bucket import Grant, Wait
from couponpress_worker.store.availability import FAILURES_IN_SILENCE, RedisWatch
from tests.builders import run_fast

GRANT = Grant(at_us=0, first_us=0, spacing_us=1, count=1)


class RedisInHand:
    """Fails as often as it is told to."""

    def __init__(self, failures=0, error=None):
        self.failures, self.error, self.asked = failures, error or RedisConnectionError("gone"), 0

    async def answer(self, *_):
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise self.error
        return GRANT


def watched(act, *, write=None, stopping=lambda: False, tell=unheard):
    """Run `await act(watch)`."""

    async def main():
        watch = RedisWatch((write or RedisInHand()).answer, stopping, tell)
        try:
            return await act(watch)
        finally:
            await watch.close()

    return run_fast(main())


def test_an_absence_is_told_once_and_its_end_once():
    told = []

    async def act(watch):
        for _ in range(5):  # five loops of a process, each without an answer
            watch.away(RedisConnectionError("gone"))
        await watch.answering()
        return watch.returns

    assert watched(act, write=RedisInHand(failures=20), tell=told.append) == 1
    assert told[0] == RedisAway("gone")
    assert [type(event) for event in told] == [RedisAway, RedisBack]


def test_a_cut_that_heals_at_once_is_not_worth_a_word():
    told = []

    async def act(watch):
        watch.away(RedisConnectionError("cut"))
        await watch.answering()
        return watch.returns

    assert watched(act, tell=told.append) == 1  # yet it is noticed: an answer may have been lost
    assert told == []


def test_a_refusal_is_told_once_and_is_one_absence():
    told = []

    async def act(watch):
        watch.away(RedisConnectionError("gone"))
        await watch.answering()
        return watch.returns

    assert watched(act, write=RedisInHand(100, ResponseError("MISCONF disk")), tell=told.append) == 1
    assert told[0] == RedisAway("MISCONF disk")
    assert [type(event) for event in told] == [RedisAway, RedisBack]


def test_an_act_is_repeated_until_it_is_answered():
    act = RedisInHand(failures=7)

    async def asked(watch):
        return await watch.until_answered(act.answer)

    assert watched(asked, write=RedisInHand(failures=3)) is GRANT
    assert act.asked == 8


def test_a_process_that_ends_waits_for_nobody():
    async def asked(watch):
        await watch.until_answered(RedisInHand(failures=100).answer)

    with pytest.raises(RedisConnectionError):
        watched(asked, write=RedisInHand(failures=100), stopping=lambda: True)


def test_no_slot_is_asked_for_while_redis_is_away():
    limiter = RedisInHand(failures=1)

    async def act(watch):
        acquire = watch.patient(limiter.answer)
        answers = [await acquire(1, False) for _ in range(5)]
        asked_meanwhile = limiter.asked
        await watch.answering()
        return answers, asked_meanwhile, await acquire(1, False)

    answers, asked_meanwhile, afterwards = watched(act, write=RedisInHand(failures=100))
    assert all(isinstance(answer, Wait) for answer in answers)
    assert (asked_meanwhile, afterwards) == (1, GRANT)


def test_a_limiter_that_fails_while_all_else_is_well_is_heard():
    limiter = RedisInHand(failures=FAILURES_IN_SILENCE + 1)

    async def act(watch):
        acquire = watch.patient(limiter.answer)
        while True:
            await acquire(1, False)
            await watch.answering()

    with pytest.raises(RedisConnectionError):
        watched(act)
    assert limiter.asked == FAILURES_IN_SILENCE + 1


def test_a_server_that_slots_come_from_for_the_first_time_counts_as_one_that_is_back():
    servers = iter([b"one", b"one", b"two", b"two", b"one"])

    async def acquire(wanted, urgent):
        return Grant(0, 0, 1, 1, server=next(servers))

    async def act(watch):
        acquired = watch.patient(acquire)
        returns = []
        for _ in range(5):
            await acquired(1, False)
            returns.append(watch.returns)
        return returns

    assert watched(act) == [1, 1, 2, 2, 3]


def test_who_waits_for_a_return_is_woken_by_it_and_by_the_end_of_his_time():
    async def act(watch):
        waiting = asyncio.create_task(watch.returned(0, 60))
        await asyncio.sleep(0)
        watch.away(RedisConnectionError("cut"))
        await waiting
        await watch.returned(0, 60)  # it is long back
        await watch.returned(watch.returns, 0.5)
        return watch.returns

    assert watched(act) == 1


def test_the_end_of_a_process_ends_the_waiting():
    async def act(watch):
        watch.away(RedisConnectionError("gone"))
        await asyncio.sleep(5)

    watched(act, write=RedisInHand(failures=10**9))
