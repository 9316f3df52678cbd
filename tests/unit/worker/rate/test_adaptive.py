"""What a process reports of the platform's answers, and when, in virtual time; the scripts' side is simulated as a
whole fleet in `tests/integration/worker/rate/test_adaptive.py`."""

import asyncio

import pytest
from limits import parse
from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress_worker.rate.adaptive import (
    GATHER_SECONDS,
    GIVEN_US,
    LONGEST_WAIT_SECONDS,
    SETTLE_SECONDS,
    Pace,
)
from couponpress_worker.rate.bucket import PROBE_US, WINDOW_US, Bucket, Grant, Wait
from couponpress_worker.rate.slots import Slot, Slots
from couponpress_worker.wechatpay.retry import LONGEST_THROTTLE_PAUSE_SECONDS, THROTTLE_PAUSE_SECONDS
from tests.unit.worker.rate.test_slots import run

LATENESS_US = 20_000
SECOND_US = 1_000_000
#: A moment on Redis's clock.
NOON = 1_795_000_000_000_000


class Scripts:
    """A client whose scripts answer what they are told to, and which notes what they were asked."""

    def __init__(self, cut_us=NOON, rest_us=0, away=False):
        self.cut_us, self.rest_us, self.away = cut_us, rest_us, away
        self.reports, self.grant = [], [1, NOON, 0, 2041]

    def register_script(self, text):
        async def call(keys, arguments):
            if self.away:
                raise RedisConnectionError("away")
            if "counted_later" not in text:
                assert keys == ["bucket", "pace"]
                assert arguments[-3:] == [LATENESS_US, WINDOW_US, PROBE_US]
                return [*self.grant, self.cut_us, b"run-id"]
            assert keys == ["pace", "bucket"]
            assert arguments[3:5] == [WINDOW_US, PROBE_US]
            self.reports.append((*arguments[:3], *arguments[5:]))
            return [self.cut_us, self.rest_us]

        return call


def paced(scripts):
    return Pace(scripts, Bucket("bucket", parse("500/second"), 0.02), "pace")


def test_many_refusals_are_told_together_and_the_latest_moment_counts():
    scripts, pauses = Scripts(rest_us=800_000), []

    async def scenario(loop):
        pace = paced(scripts)
        pace.throttled(NOON, None, pauses.append)
        await asyncio.sleep(GATHER_SECONDS / 2)
        for late in range(30):
            pace.throttled(NOON + late, 2.5, pauses.append)
        await asyncio.sleep(2)

    run(scenario)
    assert scripts.reports == [
        ("refused", NOON, LATENESS_US, 1, 0),
        ("refused", NOON + 29, LATENESS_US, 30, 2_500_000),
    ]
    assert pauses == [0.8, 0.8]


def test_after_a_cut_a_process_counts_what_it_was_allowed_in_each_window():
    scripts = Scripts()

    async def scenario(loop):
        pace = paced(scripts)
        pace.admitted(NOON - 4 * SECOND_US)
        for before_us in (SECOND_US, SECOND_US - 1, SECOND_US - LATENESS_US, 5, 0):
            pace.admitted(NOON - before_us)
        assert isinstance(await pace.acquire(1), Grant)  # another process made the cut: the bucket tells
        await asyncio.sleep(SETTLE_SECONDS / 2)
        for after_us in (1, LATENESS_US, LATENESS_US + 1, GIVEN_US):  # answers that come later count as well
            pace.admitted(NOON + after_us)
        await asyncio.sleep(SETTLE_SECONDS)
        await pace.acquire(1)  # the same cut is counted once
        await asyncio.sleep(SETTLE_SECONDS * 2)

    run(scenario)
    assert scripts.reports == [("counted", NOON, LATENESS_US, 4, 4, 6)]


def test_a_process_whose_first_answers_come_after_the_cut_counts_them():
    scripts = Scripts()

    async def scenario(loop):
        pace = paced(scripts)
        await pace.acquire(1)
        await asyncio.sleep(SETTLE_SECONDS / 2)
        pace.admitted(NOON - 1)
        await asyncio.sleep(SETTLE_SECONDS)

    run(scenario)
    assert scripts.reports == [("counted", NOON, LATENESS_US, 1, 1, 1)]


def test_a_process_that_sent_nothing_counts_nothing():
    scripts = Scripts()

    async def scenario(loop):
        pace = paced(scripts)
        await pace.acquire(1)
        await asyncio.sleep(SETTLE_SECONDS * 2)
        pace.admitted(NOON - 2 * SECOND_US)
        scripts.cut_us = NOON + 1
        await pace.acquire(1)
        await asyncio.sleep(SETTLE_SECONDS * 2)

    run(scenario)
    assert scripts.reports == []


@pytest.mark.parametrize(
    ("asked", "paused"), [(None, THROTTLE_PAUSE_SECONDS), (7.0, 7.0), (1e30, LONGEST_THROTTLE_PAUSE_SECONDS)]
)
def test_while_redis_is_away_the_process_rests_by_itself(asked, paused, caplog):
    pauses = []

    async def scenario(loop):
        pace = paced(Scripts(away=True))
        pace.throttled(NOON, asked, pauses.append)
        await asyncio.sleep(1)

    run(scenario)
    assert pauses == [paused]
    assert "Redis could not be told that the platform throttles" in caplog.text


def test_a_long_pause_is_asked_about_again_for_a_person_may_end_it():
    scripts, pauses = Scripts(rest_us=60 * SECOND_US), []
    scripts.grant = [0, NOON, 60 * SECOND_US, 2041]

    async def scenario(loop):
        pace = paced(scripts)
        assert await pace.acquire(1) == Wait(LONGEST_WAIT_SECONDS, cut_us=NOON)
        pace.throttled(NOON, 60.0, pauses.append)
        await asyncio.sleep(1)

    run(scenario)
    assert pauses == [LONGEST_WAIT_SECONDS]


def test_closing_tells_nothing_more():
    scripts = Scripts()

    async def scenario(loop):
        pace = paced(scripts)
        pace.admitted(NOON)
        await pace.acquire(1)
        pace.throttled(NOON, None, lambda _: None)
        await pace.close()

    run(scenario)
    assert scripts.reports == []


def test_slots_tell_their_pace_what_became_of_each():
    told = []

    class Told:
        def admitted(self, moment_us):
            told.append(("admitted", moment_us))

        def throttled(self, moment_us, retry_after_seconds, pause):
            told.append(("throttled", moment_us, retry_after_seconds))
            pause(30.0)

    async def give(wanted, urgent):
        return Grant(NOON, 0, 2041, 2)

    async def scenario(loop):
        slots = Slots(give, lateness_seconds=0.02, clock=loop.time, pace=Told())
        first, second = await slots.take(), await slots.take()
        assert await slots.due(second)
        slots.answered(first)
        slots.throttled(second, 3.0)
        assert not await slots.due(Slot(loop.time(), loop.time() + 1))
        await slots.close()

    run(scenario)
    assert told == [("admitted", NOON), ("throttled", NOON + 2041, 3.0)]


@pytest.mark.parametrize(("asked", "paused"), [(None, THROTTLE_PAUSE_SECONDS), (5.0, 5.0)])
def test_slots_without_a_pace_rest_after_a_refusal(asked, paused):
    async def give(wanted, urgent):
        return Grant(NOON, 0, 2041, 1)

    async def scenario(loop):
        slots = Slots(give, lateness_seconds=0.02, clock=loop.time)
        slots.throttled(await slots.take(), asked)
        began = loop.time()
        await slots.due(await slots.take())
        await slots.close()
        return loop.time() - began

    assert run(scenario) == pytest.approx(paused, abs=0.1)
