"""What streams share: one reading for all, none while nobody looks."""

import asyncio

import pytest

from couponpress.gateway.console.live import TICK_SECONDS, Live


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_part_is_read_once_for_everybody_with_the_same_key():
    async def scenario():
        clock, reads = Clock(), []
        live = Live(clock)

        async def read():
            reads.append(clock.now)
            await asyncio.sleep(0)
            return f"at {clock.now}"

        assert await asyncio.gather(*(live.part("runs", read) for _ in range(50))) == ["at 0.0"] * 50
        assert await live.part("other", read) == "at 0.0"
        clock.now = TICK_SECONDS
        assert await live.part("runs", read) == "at 1.0"
        assert reads == [0.0, 0.0, 1.0]
        assert live.reads == 3

    asyncio.run(scenario())


def test_a_reading_that_fails_is_told_to_everybody_and_tried_again():
    async def scenario():
        clock, live = Clock(), None
        live = Live(clock)

        async def away():
            raise ConnectionError("away")

        async def back():
            return "back"

        for _ in range(2):
            with pytest.raises(ConnectionError):
                await live.part("runs", away)
        assert live.reads == 1
        clock.now = TICK_SECONDS
        assert await live.part("runs", back) == "back"

    asyncio.run(scenario())


def test_who_waits_is_woken_when_the_server_stops():
    async def scenario():
        live = Live()
        waiting = asyncio.create_task(live.rest())
        await asyncio.sleep(0)
        live.stop()
        await asyncio.wait_for(waiting, 0.5)
        assert live.stopped

    asyncio.run(scenario())
