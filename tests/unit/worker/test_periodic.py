"""Background loops after errors that nobody foresaw: started again, told once, counted, with growing rests."""

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

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


def turns(answers, *, leads=(), tick_seconds=1.0, away=lambda _: None):
    """Make a turn for each answer (an error is raised) and stop; returns when each turn was, and the counts."""
    failures, begun, left, leading = Failures(), [], list(answers), list(leads)

    async def main():
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        since = loop.time()

        async def turn():
            begun.append(round(loop.time() - since, 1))  # a busy machine takes hundredths
            answer = left.pop(0)
            if not left:
                stopped.set()
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def leader():
            answer = leading.pop(0) if leading else True
            if isinstance(answer, Exception):
                raise answer
            return answer

        options = {"tick_seconds": tick_seconds, "leader": leader, "away": away}
        await keep_running("lane", turn, stopped, failures, **options)

    run_fast(main())
    return begun, failures.counts


def test_turns_follow_one_another_after_a_rest():
    assert turns([None, None, None]) == ([0.0, 1.0, 2.0], {})


def test_a_turn_that_found_more_to_do_is_followed_at_once():
    assert turns([5, 5, 0, 0])[0] == [0.0, 0.0, 0.0, 1.0]


def test_only_the_leader_makes_turns():
    assert turns([None], leads=[False, False, True]) == ([2.0], {})


def test_a_redis_that_is_away_is_heard_and_no_failure():
    trouble, heard = RedisConnectionError("gone"), []
    assert turns([trouble, None], leads=[trouble], away=heard.append) == ([1.0, 2.0], {})
    assert heard == [trouble, trouble]


def test_an_unforeseen_error_of_a_turn_is_counted_once_and_rests_longer_each_time():
    begun, counts = turns([ValueError("one"), ValueError("two"), ValueError("three"), None])
    assert counts == {"lane": 3}
    assert begun == [0.0, 0.5, 1.5, 3.5]


def test_a_right_that_is_missing_is_one_sentence_with_its_cure(caplog):
    failures = Failures()
    for _ in range(3):
        fails(failures, NoPermissionError)
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage().startswith("lane waits, for Redis refuses: unforeseen. Cure: give its user the names")
    assert failures.counts == {"lane": 3}
