"""An event loop in its thread: other threads get what their coroutines return, or raise."""

import asyncio
import threading

import pytest

from couponpress_worker.runtime.loop_thread import LoopThread


def test_a_coroutine_runs_in_the_loops_thread_and_its_end_comes_back():
    loop = LoopThread("loop-of-a-test")
    loop.start()

    async def named():
        await asyncio.sleep(0)
        return threading.current_thread().name

    async def fails():
        raise ValueError("unforeseen")

    assert loop.call(named()).result(10) == "loop-of-a-test"
    with pytest.raises(ValueError, match="unforeseen"):
        loop.call(fails()).result(10)
    loop.close()
    assert "loop-of-a-test" not in {thread.name for thread in threading.enumerate()}
