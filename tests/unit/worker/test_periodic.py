"""Background loops after errors that nobody foresaw: started again, told once, counted, with growing rests."""

import asyncio

from couponpress_worker.periodic import LONGEST_REST_SECONDS, TELL_AGAIN_SECONDS, Failures, keep_running
from tests.builders import run_fast


def fails(failures, error=ValueError):
    def fail():
        raise error("unforeseen")

    try:
        fail()
    except error as raised:
        failures.note("lane", raised)


def starts(times_failing, *, runs_for=0.0):
    """Run a loop that fails so often; returns when each start was, and what was counted."""
    failures, begun = Failures(), []

    async def main():
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        since = loop.time()

        async def run():
            begun.append(round(loop.time() - since, 1))
            await asyncio.sleep(runs_for)
            if len(begun) <= times_failing:
                raise ValueError("unforeseen")

        await keep_running("lane", run, stopped, failures)

    run_fast(main())
    return begun, failures.counts


def test_a_loop_starts_again_with_growing_rests():
    assert starts(3) == ([0.0, 0.5, 1.5, 3.5], {"lane": 3})


def test_no_rest_is_longer_than_the_longest():
    begun, _ = starts(12)
    assert begun[-1] - begun[-2] == LONGEST_REST_SECONDS


def test_a_loop_that_ran_well_meanwhile_starts_again_soon():
    runs_for = LONGEST_REST_SECONDS + 1
    begun, _ = starts(4, runs_for=runs_for)
    assert begun == [round(number * (runs_for + 0.5), 1) for number in range(5)]


def test_a_stop_ends_the_rest():
    async def main():
        stopped, begun = asyncio.Event(), []

        async def run():
            begun.append(1)
            stopped.set()
            raise ValueError("unforeseen")

        await keep_running("lane", run, stopped, Failures())
        return begun

    assert run_fast(main()) == [1]


def test_the_same_error_is_told_once_with_its_trace_and_counted_each_time(caplog):
    now = 0.0
    failures = Failures(monotonic=lambda: now)
    for _ in range(50):
        fails(failures)
    assert failures.counts == {"lane": 50}
    assert [record.getMessage() for record in caplog.records] == ["lane failed and goes on (failure 1)"]
    assert caplog.records[0].exc_info
    fails(failures, KeyError)
    assert len(caplog.records) == 2, "another error is told as well"
    now = TELL_AGAIN_SECONDS
    fails(failures)
    assert len(caplog.records) == 3
