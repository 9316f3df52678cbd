"""Who waits while the breaker is open, and who goes; on a loop on which waiting takes no time."""

import asyncio
import itertools
import time

import pytest

from couponpress_worker.events import BreakerClosed, BreakerOpened, unheard
from couponpress_worker.safety.breaker import GOOD_ANSWERS
from couponpress_worker.safety.breaker_gate import Outage
from couponpress_worker.timings import REAL
from couponpress_worker.wechatpay.client import NotSent
from couponpress_worker.wechatpay.judgement import Accepted, Hold, QueryFirst, Rejected, Retry, Throttled
from tests.builders import run_fast

DOWN = Retry("HTTP_503", "no service")


class Clocked(Outage):
    """An outage on the loop's own clock, so that its time jumps with the loop's."""

    def __init__(self, tell=unheard):
        self.stopping = False
        super().__init__(lambda: self.stopping, lambda: asyncio.get_running_loop().time(), tell=tell)

    async def begin(self):
        given = self.pass_now()
        for number in range(60):
            self.answered(given, number, DOWN)
            await asyncio.sleep(0.05)
        assert self.is_open
        return self


def test_a_closed_breaker_lets_chunks_and_requests_through_without_waiting():
    async def run():
        outage = Clocked()
        started = asyncio.get_running_loop().time()
        assert await outage.admit(5.0) == 0
        assert outage.pass_now() is not None
        assert asyncio.get_running_loop().time() - started < 0.1

    run_fast(run())


@pytest.mark.parametrize(
    "judgement",
    [
        Accepted(),
        Rejected("PARAM_ERROR", "bad"),
        Throttled(1.0),
        QueryFirst("ALREADY_EXISTS", "known"),
        Hold("partner", "SIGN_ERROR", "wrong", "mend"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_whatever_the_platform_itself_says_never_opens_it(judgement):
    async def run():
        outage = Clocked()
        for number in range(1000):
            assert not outage.answered(outage.pass_now(), number, judgement)
            await asyncio.sleep(0.01)
        assert not outage.is_open

    run_fast(run())


def test_it_is_told_once_that_the_platform_is_down_and_once_that_it_answers_again():
    told = []

    async def run():
        outage = Clocked(told.append)
        assert outage.told is None
        await outage.begin()
        assert outage.told.reason == "HTTP_503: no service"
        assert abs(outage.told.since - time.time()) < 60
        given = await outage.pass_later(lambda: None)
        for number in range(GOOD_ANSWERS):
            outage.answered(given, number, Accepted())
        assert not outage.is_open
        assert outage.told is None

    run_fast(run())
    opened, closed = told
    assert opened == BreakerOpened("HTTP_503", "no service")
    assert isinstance(closed, BreakerClosed)
    assert 0 < closed.seconds < 60


def test_while_it_is_open_one_chunk_at_a_time_is_admitted():
    async def run():
        outage = await Clocked().begin()
        loop = asyncio.get_running_loop()
        moments, tickets = [], []

        async def chunk():
            tickets.append(await outage.admit(5.0))
            moments.append(loop.time())

        started = loop.time()
        async with asyncio.TaskGroup() as chunks:
            for _ in range(4):
                chunks.create_task(chunk())
        return [round(moment - started) for moment in moments], tickets

    moments, tickets = run_fast(run())
    assert moments == [0, 5, 10, 15]
    assert len(set(tickets)) == 4


def test_the_next_chunk_is_admitted_as_soon_as_the_one_that_probes_has_ended():
    async def run():
        outage = await Clocked().begin()
        first = await outage.admit(5.0)
        started = asyncio.get_running_loop().time()
        outage.leave(first)
        second = await outage.admit(5.0)
        outage.leave(first)  # one that is long out of turn makes no room
        third = asyncio.create_task(outage.admit(5.0))
        await asyncio.sleep(1)
        assert not third.done()
        outage.leave(second)
        await third
        assert asyncio.get_running_loop().time() - started < 1.5

    run_fast(run())


def test_everybody_is_admitted_when_it_closes():
    async def run():
        outage = await Clocked().begin()
        await outage.admit(1000.0)
        waiting = [asyncio.create_task(outage.admit(1000.0)) for _ in range(8)]
        given = await outage.pass_later(lambda: None)
        for number in range(GOOD_ANSWERS):
            outage.answered(given, number, Accepted())
        assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [0] * 8

    run_fast(run())


def test_a_process_that_stops_admits_nobody_and_lets_nobody_wait():
    async def run():
        outage = await Clocked().begin()
        await outage.admit(1000.0)
        waiting = [asyncio.create_task(outage.admit(1000.0)) for _ in range(3)]
        await asyncio.sleep(0.01)
        outage.stopping = True
        assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [None] * 3
        assert await outage.admit(1000.0) is None

    run_fast(run())


def test_a_request_waits_for_the_next_probe_or_until_it_is_given_up():
    async def run():
        outage = await Clocked().begin()
        loop = asyncio.get_running_loop()
        moments = []
        for _ in range(4):
            await outage.pass_later(lambda: None)
            moments.append(loop.time())
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert gaps == pytest.approx([REAL.breaker_probe] * 3, abs=0.3)
        over = loop.time() + 0.5
        assert outage.pass_now() is None
        with pytest.raises(NotSent, match="breaker"):
            await outage.pass_later(lambda: "breaker" if loop.time() >= over else None)

    run_fast(run())


def test_a_pass_whose_request_was_not_sent_goes_to_the_next_one():
    async def run():
        outage = await Clocked().begin()
        given = await outage.pass_later(lambda: None)
        assert outage.pass_now() is None
        outage.unused(given)
        assert outage.pass_now() is not None
        outage.unused(None)

    run_fast(run())


def test_failures_are_free_while_it_is_open_and_only_then():
    async def run():
        outage = Clocked()
        assert not outage.answered(outage.pass_now(), 1, DOWN)
        await outage.begin()
        probe = await outage.pass_later(lambda: None)
        assert outage.answered(probe, 1, DOWN)
        assert not outage.answered(probe, 1, Accepted())

    run_fast(run())
