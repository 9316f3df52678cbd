"""A rest lasts its time, and ends at once with a stop."""

import asyncio

from couponpress.stopping import rest


def test_a_rest_lasts_its_time():
    async def main():
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        began = loop.time()
        await rest(stopped, 0.02)
        assert loop.time() - began >= 0.02
        assert not stopped.is_set()

    asyncio.run(main())


def test_a_stop_ends_the_rest_at_once():
    async def main():
        stopped = asyncio.Event()
        resting = asyncio.create_task(rest(stopped, 600))
        await asyncio.sleep(0)
        assert not resting.done()
        stopped.set()
        await asyncio.wait_for(resting, 5)

    asyncio.run(main())
