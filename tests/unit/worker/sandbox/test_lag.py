import asyncio
import time

from couponpress_worker.sandbox.lag import PERIOD_SECONDS, Lag


def test_a_late_loop_is_noted_with_the_time_in_which_it_was_late():
    async def blocked():
        lag = Lag()
        lag.start()
        await asyncio.sleep(3 * PERIOD_SECONDS)
        began = time.monotonic()
        time.sleep(0.2)  # noqa: ASYNC251 - the very thing
        ended = time.monotonic()
        await asyncio.sleep(0)  # the timer that is overdue has its turn
        await asyncio.sleep(0)
        lag.stop()
        return lag, began * 1e6, ended * 1e6

    lag, began_us, ended_us = asyncio.run(blocked())
    assert any(late_from <= began_us and ended_us <= late_to for late_from, late_to in lag.late_us)
