"""Slots within a process, in virtual time: the loop's clock jumps to the next timer, so nothing really sleeps."""

import asyncio
import logging
import random
import selectors
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerSecond
from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress_worker.rate.bucket import HORIZON_US, URGENT_HORIZON_US, Bucket, Grant, Wait
from couponpress_worker.rate.slots import MOST_AT_ONCE, NEIGHBOURS_SHARE, PACE_SECONDS, Slot, Slots, SlotsClosedError
from tests.unit.worker.rate.test_bucket import SECOND_US, Model, as_model, most_in_a_window

LATENESS = 0.02


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 1000.0
        super().__init__(VirtualSelector(self))

    def time(self):
        return self.now


class VirtualSelector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self.loop = loop
        self.turns = 0

    def select(self, timeout=None):
        events = super().select(0) if timeout is None else []  # nobody waits for what is outside of the loop
        if not events:
            assert timeout is not None, "everybody waits for ever"
            self.turns = 0 if timeout > 1e-9 else self.turns + 1
            assert self.turns < 10_000, "the loop turns and time stands still"
            self.loop.now += timeout
        return events


def run(scenario):
    """Run `scenario(loop)` in virtual time; every task that it started must have ended by itself."""

    async def main():
        result = await scenario(asyncio.get_running_loop())
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


class Script:
    """An `acquire` that answers from a list, each answer after `seconds`, and notes what it was asked, and when."""

    def __init__(self, loop, *answers, seconds=0.004):
        self.loop = loop
        self.answers = list(answers)
        self.seconds = seconds
        self.asked = []
        self.moments = []

    async def __call__(self, wanted, urgent):
        self.asked.append((wanted, urgent))
        self.moments.append(self.loop.time())
        await asyncio.sleep(self.seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def grant(count, first_us=0, spacing_us=2041):
    return Grant(0, first_us, spacing_us, count)


def slots_on(loop, acquire, **options):
    return Slots(acquire, lateness_seconds=LATENESS, clock=loop.time, **options)


def take_all(slots, *urgencies):
    return [asyncio.create_task(slots.take(urgent=urgent)) for urgent in urgencies]


def test_a_slot_is_never_early_and_never_late():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(2, first_us=30_000)))
        first, second = await asyncio.gather(*take_all(slots, False, False))
        # Asked at 1000.000, answered at 1000.004; half of J is ours.
        assert (first.earliest, first.latest) == pytest.approx((1000.034, 1000.040))
        assert (second.earliest, second.latest) == pytest.approx((1000.036041, 1000.042041))
        assert (slots.granted, slots.given_up) == (2, 0)

    run(scenario)


def test_urgent_goes_first_then_whoever_came_first():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(4)))
        bulk1, bulk2, urgent1, urgent2 = await asyncio.gather(*take_all(slots, False, False, True, True))
        order = sorted([bulk1, bulk2, urgent1, urgent2], key=lambda slot: slot.earliest)
        assert order == [urgent1, urgent2, bulk1, bulk2]

    run(scenario)


def lanes_served(share, count, urgent, bulk):
    """The lanes of the first `count` slots in their order, u or b, while so many of each lane wait all the time."""
    served, free_us = [], [0]

    async def scenario(loop):
        async def acquire(wanted, urgent):
            await asyncio.sleep(0.002)
            now_us = round(loop.time() * 1e6)
            first_us = max(free_us[0], now_us + 5_000)
            ahead = (now_us + (200_000 if urgent else 100_000) - first_us) // 2041
            if ahead < 1:
                return Wait(0.02)
            given = min(wanted, ahead)
            free_us[0] = first_us + given * 2041
            return Grant(now_us, first_us - now_us, 2041, given)

        slots = slots_on(loop, acquire, urgent_share=share)

        async def wants(lane):
            while len(served) < count:
                served.extend(lane for _ in await slots.take_some(3, urgent=lane == "u"))

        await asyncio.gather(*(wants(lane) for lane in "u" * urgent + "b" * bulk))

    run(scenario)
    return served[:count]


@pytest.mark.parametrize(("share", "expected"), [(0.9, 20), (0.5, 100), (1.0, 0)])
def test_urgent_has_at_most_its_share_while_bulk_waits_too(share, expected):
    served = lanes_served(share, 200, 4, 4)
    assert abs(served.count("b") - expected) <= 4


def test_the_share_of_urgent_counts_only_while_both_wait():
    assert lanes_served(0.5, 50, 2, 0) == ["u"] * 50
    assert lanes_served(0.5, 50, 0, 2) == ["b"] * 50


def test_several_are_taken_at_once_and_the_lowest_rank_goes_first():
    async def scenario(loop):
        script = Script(loop, grant(5), grant(4))
        slots = slots_on(loop, script)
        later, first = (asyncio.create_task(slots.take_some(3, rank=rank)) for rank in (2, 1))
        taken = await first, await later
        assert [len(some) for some in taken] == [3, 2]  # as soon as there is any
        ordered = [slot.earliest for some in taken for slot in some]
        assert ordered == sorted(ordered)
        assert script.asked == [(6, False)]

    run(scenario)


def test_slots_cancelled_in_hand_go_on_in_their_order():
    async def scenario(loop):
        asked = []

        async def acquire(wanted, urgent):
            asked.append(wanted)
            # Runs after the slots were handed to the waiter, and before it wakes up.
            loop.call_soon(some.cancel)
            return grant(3)

        slots = slots_on(loop, acquire)
        some = asyncio.create_task(slots.take_some(3))
        await asyncio.wait([some])
        assert some.cancelled()
        assert [(await slots.take()).moment_us for _ in range(3)] == [0, 2041, 4082]
        assert asked == [3]

    run(scenario)


def test_an_urgent_waiter_gets_the_next_slot_of_a_bulk_sender_which_gets_none():
    async def scenario(loop):
        script = Script(loop, grant(2, first_us=3_000), grant(1, first_us=80_000))
        slots = slots_on(loop, script)
        in_hand = await slots.take_some(2)
        senders = [asyncio.create_task(slots.due(slot)) for slot in in_hand]
        await asyncio.sleep(0)
        slot = await slots.take(urgent=True)  # the first one is too near to get ready for
        assert slot == in_hand[1]
        assert [await sender for sender in senders] == [True, False]
        assert await slots.due(slot, urgent=True)
        assert (len(script.asked), slots.granted, slots.given_up) == (1, 2, 0)

    run(scenario)


def test_an_urgent_waiter_leaves_the_slots_of_urgent_senders_alone():
    async def scenario(loop):
        script = Script(loop, grant(1, first_us=50_000), grant(1, first_us=60_000))
        slots = slots_on(loop, script)
        first = await slots.take(urgent=True)
        sender = asyncio.create_task(slots.due(first, urgent=True))
        await asyncio.sleep(0)
        assert await slots.take(urgent=True) != first
        assert await sender

    run(scenario)


def test_a_sender_cancelled_just_after_its_slot_passed_on_does_not_put_it_back():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(1, first_us=50_000), grant(1)))
        sender = asyncio.create_task(slots.due(await slots.take()))
        await asyncio.sleep(0)
        urgent = asyncio.create_task(slots.take(urgent=True))
        await asyncio.sleep(0)  # the slot is the urgent one's by now
        sender.cancel()
        passed_on = await urgent
        with pytest.raises(asyncio.CancelledError):
            await sender
        assert await slots.take() != passed_on

    run(scenario)


def test_an_answer_that_took_too_long_gives_no_slot():
    async def scenario(loop):
        script = Script(loop, grant(3), grant(1), seconds=0.011)
        slots = slots_on(loop, script)
        (task,) = take_all(slots, False)
        await asyncio.sleep(0.005)
        script.seconds = 0.001  # for the answers after the first
        await task
        assert (slots.granted, slots.given_up, len(script.asked)) == (4, 3, 2)

    run(scenario)


def test_due_waits_for_the_moment_and_refuses_after_the_last_look():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop))
        slot = Slot(loop.time() + 0.030, loop.time() + 0.040)
        assert await slots.due(slot)
        assert slot.earliest <= loop.time() <= slot.latest
        loop.now = slot.latest
        assert await slots.due(slot)
        loop.now += 0.000_001
        assert not await slots.due(slot)
        assert slots.given_up == 1

    run(scenario)


def test_a_slot_that_went_stale_in_hand_is_not_handed_out():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(3), grant(1)))
        await slots.take()  # two remain
        loop.now += 2.0  # the process is stopped for two seconds
        late_comer = await slots.take()
        assert late_comer.latest > loop.time()
        assert (slots.granted, slots.given_up) == (4, 2)

    run(scenario)


def test_a_spare_slot_goes_to_the_next_waiter_without_asking():
    async def scenario(loop):
        script = Script(loop, grant(3))
        slots = slots_on(loop, script)
        taken = [await slots.take() for _ in range(3)]
        assert [earlier.earliest < later.earliest for earlier, later in pairwise(taken)] == [True, True]
        assert script.asked == [(1, False)]

    run(scenario)


@pytest.mark.parametrize("after_seconds", [0.0, 0.002])
def test_a_waiter_cancelled_before_its_slot_comes_leaves_it_to_the_next(after_seconds):
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(1)))
        first, second = take_all(slots, False, False)
        await asyncio.sleep(after_seconds)
        first.cancel()
        assert isinstance(await second, Slot)
        assert first.cancelled()
        assert (slots.granted, slots.given_up) == (1, 0)

    run(scenario)


def test_nothing_is_asked_for_those_who_went_away():
    async def scenario(loop):
        script = Script(loop, Wait(1.0), grant(2))
        slots = slots_on(loop, script)
        first, second, third = take_all(slots, False, False, False)
        await asyncio.sleep(0.5)
        second.cancel()
        await asyncio.gather(first, third)
        assert script.asked == [(3, False), (2, False)]

    run(scenario)


def test_a_waiter_cancelled_with_its_slot_in_hand_passes_it_on():
    async def scenario(loop):
        asked = []

        async def acquire(wanted, urgent):
            asked.append(wanted)
            if len(asked) > 1:
                await asyncio.Event().wait()  # no other slot ever comes
            # Runs after the slot was handed to the first waiter, and before that one wakes up.
            loop.call_soon(first.cancel)
            return grant(1)

        slots = slots_on(loop, acquire)
        first, second = take_all(slots, False, False)
        assert isinstance(await second, Slot)
        assert first.cancelled()
        await slots.close()
        assert (slots.granted, slots.given_up) == (1, 0)

    run(scenario)


def test_a_sender_cancelled_before_its_moment_passes_the_slot_on():
    async def scenario(loop):
        script = Script(loop, grant(1, first_us=50_000))
        slots = slots_on(loop, script)
        slot = await slots.take()
        sender = asyncio.create_task(slots.due(slot))
        await asyncio.sleep(0.01)
        sender.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sender
        assert await slots.take() == slot
        assert len(script.asked) == 1

    run(scenario)


def test_nobody_waits_nobody_asks():
    async def scenario(loop):
        script = Script(loop, grant(1), Wait(30.0))
        slots = slots_on(loop, script)
        await slots.take()
        await asyncio.sleep(60)
        assert len(script.asked) == 1
        (task,) = take_all(slots, False)
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.sleep(60)
        assert len(script.asked) == 2

    run(scenario)


@pytest.mark.parametrize(("told", "slept"), [(0.001, PACE_SECONDS), (1.5, 1.5)])
def test_a_wait_is_slept_and_never_hammered(told, slept):
    async def scenario(loop):
        script = Script(loop, Wait(told), grant(1))
        await slots_on(loop, script).take()
        assert script.moments[1] - script.moments[0] == pytest.approx(0.004 + slept)

    run(scenario)


def test_an_urgent_waiter_does_not_sit_out_a_bulk_wait():
    for arrives_after in (0.002, 0.5):  # while the bulk question is on its way, and while its answer is slept

        async def scenario(loop, arrives_after=arrives_after):
            script = Script(loop, Wait(5.0), grant(1), grant(1))
            slots = slots_on(loop, script)
            (bulk,) = take_all(slots, False)
            await asyncio.sleep(arrives_after)
            asked_at = loop.time()
            await slots.take(urgent=True)
            assert loop.time() - asked_at < 0.01
            assert script.asked[1] == (1, True)
            await bulk

        run(scenario)


def test_no_more_are_asked_for_than_wait_and_never_more_than_a_turn():
    async def scenario(loop):
        script = Script(loop, grant(MOST_AT_ONCE), grant(5))
        slots = slots_on(loop, script)
        await asyncio.gather(*take_all(slots, *[False] * (MOST_AT_ONCE + 5)))
        assert script.asked == [(MOST_AT_ONCE, False), (5, False)]

    run(scenario)


def test_bulk_is_asked_for_again_only_when_slots_run_low():
    async def scenario(loop):
        script = Script(loop, grant(1, first_us=90_000), grant(1))
        slots = slots_on(loop, script)
        await slots.take()
        await slots.take()
        assert script.moments[1] == pytest.approx(1000.004 + 0.090 - 0.050)

    run(scenario)


def test_redis_away_means_no_slot_and_is_said_once(caplog):
    caplog.set_level(logging.INFO)

    async def scenario(loop):
        failures = [RedisConnectionError("refused"), OSError("unreachable"), TimeoutError("slow")] * 3
        script = Script(loop, *failures, grant(1), seconds=0.0)
        slots = slots_on(loop, script)
        await slots.take()
        gaps = [later - earlier for earlier, later in pairwise(script.moments)]
        assert gaps == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0])
        assert (slots.granted, slots.given_up) == (1, 0)

    run(scenario)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "refused" in caplog.records[0].getMessage()


def test_an_error_that_nobody_foresaw_reaches_who_waits():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, ZeroDivisionError("a bug"), grant(1)))
        results = await asyncio.gather(*take_all(slots, False, True), return_exceptions=True)
        assert [type(result) for result in results] == [ZeroDivisionError, ZeroDivisionError]
        assert isinstance(await slots.take(), Slot)

    run(scenario)


def test_a_pause_stops_everything_for_so_long():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(2), grant(1)))
        in_hand = await slots.take()
        slots.pause(3.0)
        slots.pause(1.0)  # a shorter one does not end the longer one
        assert not await slots.due(in_hand)
        slot = await slots.take()
        assert loop.time() >= 1003.004
        assert await slots.due(slot)
        assert (slots.granted, slots.given_up) == (3, 2)

    run(scenario)


def test_closing_tells_who_waits():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, Wait(100.0)))
        waiting = take_all(slots, False, True)
        await asyncio.sleep(1)
        await slots.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [SlotsClosedError, SlotsClosedError]
        with pytest.raises(SlotsClosedError, match="another worker"):
            await slots.take()
        assert loop.time() == pytest.approx(1001)

    run(scenario)


class Fleet:
    """Processes with clocks, delays and stalls of their own, on one model bucket; notes when requests may arrive."""

    def __init__(self, loop, limit, seed):
        self.loop = loop
        self.chance = random.Random(seed)
        self.bucket = Bucket("k", RateLimitItemPerSecond(limit), LATENESS)
        self.model = Model()
        self.asked = 0
        self.sent = []
        self.model.step("clear", 1, 1, 0, [as_model(self.bucket)], self.redis_us())

    def redis_us(self):
        return round(self.loop.time() * SECOND_US)

    async def acquire(self, wanted, urgent):
        self.asked += 1
        horizon = URGENT_HORIZON_US if urgent else HORIZON_US
        await asyncio.sleep(self.chance.uniform(0.0002, 0.003))
        known = [as_model(self.bucket)]
        count, now, first, spacing = self.model.step("take", wanted, 1, horizon, known, self.redis_us())
        await asyncio.sleep(self.chance.uniform(0.0002, 0.003))
        return Grant(now, first, spacing, count) if count else Wait((first - horizon) / SECOND_US)

    def process(self, skew):
        return Slots(self.acquire, lateness_seconds=LATENESS, clock=lambda: self.loop.time() + skew)

    async def send_until(self, slots, end, longest_delay, *, urgent=False):
        """Send as fast as slots come; a request is some time on its way, at most half of J after the last look."""
        while self.loop.time() < end:
            slot = await slots.take(urgent=urgent)
            await asyncio.sleep(self.chance.uniform(0, longest_delay))  # signing, and whatever holds the process up
            if await slots.due(slot):
                now = self.redis_us()
                self.sent.append((now, now + round(LATENESS / 2 * SECOND_US)))
                await asyncio.sleep(0.05)


def test_one_busy_process_uses_97_percent_and_asks_seldom():
    async def scenario(loop):
        fleet = Fleet(loop, 500, seed=1)
        slots = fleet.process(skew=77.0)
        await asyncio.gather(*(fleet.send_until(slots, 1003.0, 0.0) for _ in range(150)))
        await slots.close()
        sent = [earliest for earliest, _ in fleet.sent]
        for second in (1000, 1001, 1002):
            assert sum(second <= moment / SECOND_US < second + 1 for moment in sent) >= 485
        assert slots.given_up <= 0.01 * slots.granted
        assert fleet.asked < 0.12 * len(sent)
        assert most_in_a_window(fleet.sent, SECOND_US) <= 500

    run(scenario)


def test_urgent_overtakes_a_thousand_that_wait():
    async def scenario(loop):
        fleet = Fleet(loop, 500, seed=2)
        slots, elsewhere = fleet.process(skew=0.0), fleet.process(skew=-5.0)
        bulk = [asyncio.create_task(fleet.send_until(each, 1002.0, 0.0)) for each in (slots, elsewhere) * 500]
        await asyncio.sleep(1.0)
        asked_at = loop.time()
        assert await slots.due(await slots.take(urgent=True))
        assert loop.time() - asked_at < 0.15
        await asyncio.gather(*bulk)

    run(scenario)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    limit=st.sampled_from([1, 7, 20, 100]),
    skews=st.lists(st.floats(-5, 5), min_size=1, max_size=4),
    longest_delay=st.sampled_from([0.0, 0.005, 0.05, 0.3]),
    stalls=st.lists(st.tuples(st.floats(0.05, 0.5), st.sampled_from([0.005, 0.05, 2.0])), max_size=4),
)
def test_whatever_stalls_the_bound_holds(seed, limit, skews, longest_delay, stalls):
    async def scenario(loop):
        fleet = Fleet(loop, limit, seed)
        end = loop.time() + 3.0
        processes = [fleet.process(skew) for skew in skews]
        senders = [
            asyncio.create_task(fleet.send_until(slots, end, longest_delay, urgent=i % 5 == 0))
            for slots in processes
            for i in range(10)
        ]
        for pause, stall in stalls:
            await asyncio.sleep(pause)
            loop.now += stall  # nothing of ours runs, while Redis's clock goes on
        await asyncio.gather(*senders)
        for slots in processes:
            await slots.close()
        assert fleet.sent
        assert most_in_a_window(fleet.sent, SECOND_US) <= limit
        used = len(fleet.sent)
        assert sum(slots.granted - slots.given_up for slots in processes) == used

    run(scenario)


def moments_of_use(loop, slots, taken):
    """Use slots; returns when each was used, by the loop's clock."""

    async def use(slot):
        assert await slots.due(slot)
        return loop.time()

    return asyncio.gather(*(use(slot) for slot in taken))


def test_near_neighbours_are_used_together_within_a_share_of_their_time():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(9, first_us=30_000)))
        taken = await slots.take_some(9)
        used = await moments_of_use(loop, slots, taken)
        for slot, moment in zip(taken, used, strict=True):
            assert slot.earliest <= moment <= slot.earliest + (slot.latest - slot.earliest) * NEIGHBOURS_SHARE + 0.001
        assert len(set(used)) <= 5  # each can be used for 6 ms, so two go together
        assert slots.given_up == 0

    run(scenario)


def test_a_slot_without_a_near_neighbour_is_used_at_its_moment():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(3, first_us=30_000, spacing_us=10_000)))
        taken = await slots.take_some(3)
        used = await moments_of_use(loop, slots, taken)
        assert used == pytest.approx([slot.earliest for slot in taken], abs=0.001)

    run(scenario)


def test_after_a_late_slot_none_waits_for_its_neighbours_for_a_while():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(6, first_us=30_000)))
        late, *taken = await slots.take_some(6)
        sleeping = asyncio.create_task(slots.due(late))
        await asyncio.sleep(0)
        loop.now += late.latest - loop.now + 0.0001  # the process stood still
        assert not await sleeping
        rest = [slot for slot in taken if slot.earliest > loop.time()]
        used = await moments_of_use(loop, slots, rest)
        assert used == pytest.approx([slot.earliest for slot in rest], abs=0.001)
        assert slots.given_up == 1

    run(scenario)


def test_whoever_is_cancelled_or_passed_over_keeps_nobody_from_waking():
    async def scenario(loop):
        slots = slots_on(loop, Script(loop, grant(4, first_us=30_000), grant(1, first_us=40_000)))
        taken = await slots.take_some(4)
        sleeping = [asyncio.create_task(slots.due(slot)) for slot in taken]
        await asyncio.sleep(0)
        sleeping[0].cancel()
        urgent = await slots.take(urgent=True)
        assert urgent in taken  # what the cancelled one gave back, or what a bulk request had
        told = await asyncio.gather(*sleeping, return_exceptions=True)
        assert isinstance(told[0], asyncio.CancelledError)
        assert told[1:].count(True) >= 2
        await slots.close()

    run(scenario)
