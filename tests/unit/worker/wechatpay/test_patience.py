"""One timer for the deadlines of all requests: each ends in its time, and those that were answered never do."""

import asyncio
import socket
import time

import httpx
import uvloop

from couponpress_worker.wechatpay.patience import Patience


class Waiting:
    """Stands for a connection with a request under way; notes when and how it was closed."""

    def __init__(self):
        self.closed = asyncio.get_running_loop().create_future()

    def close(self, error):
        self.closed.set_result((asyncio.get_running_loop().time(), error))


def test_each_request_ends_in_its_own_time_whatever_the_order():
    async def scenario():
        patience, loop = Patience(), asyncio.get_running_loop()
        began, waiting = loop.time(), {seconds: Waiting() for seconds in (0.06, 0.02, 0.04)}
        for seconds, one in waiting.items():
            patience.begin(one, seconds)
        for seconds, one in waiting.items():
            at, error = await asyncio.wait_for(one.closed, 5)
            assert at - began >= seconds
            assert isinstance(error, httpx.ReadTimeout)
            assert f"{error}" == f"no whole answer within {seconds:g} s"
        patience.close()

    asyncio.run(scenario())


def test_a_request_that_was_answered_is_not_closed_and_the_next_one_has_its_whole_time():
    async def scenario():
        patience, loop = Patience(), asyncio.get_running_loop()
        answered, later = Waiting(), Waiting()
        patience.begin(answered, 0.01)
        patience.end(answered)
        began = loop.time()
        patience.begin(later, 0.05)
        at, _ = await asyncio.wait_for(later.closed, 5)
        assert at - began >= 0.05
        assert not answered.closed.done()

    asyncio.run(scenario())


def test_an_answer_that_came_while_the_process_stood_still_is_read_before_its_request_is_given_up():
    async def scenario():
        patience, loop, one, beside = Patience(), asyncio.get_running_loop(), Waiting(), Waiting()
        ours, theirs = socket.socketpair()
        other, woken = socket.socketpair()

        def stand_still():
            loop.remove_reader(woken)
            theirs.send(b"answer")
            time.sleep(0.05)

        with ours, theirs, other, woken:
            loop.add_reader(ours, patience.end, one)
            loop.add_reader(woken, stand_still)
            patience.begin(one, 0.02)
            patience.begin(beside, 0.02)
            other.send(b"wake")
            await asyncio.wait_for(beside.closed, 5)
            loop.remove_reader(ours)
        assert not one.closed.done()

    uvloop.run(scenario())


def test_after_the_end_nothing_is_closed_any_more():
    async def scenario():
        patience, one, other = Patience(), Waiting(), Waiting()
        patience.begin(one, 0.01)
        patience.close()
        beside = Patience()
        beside.begin(other, 0.05)
        await asyncio.wait_for(other.closed, 5)
        assert not one.closed.done()

    asyncio.run(scenario())
