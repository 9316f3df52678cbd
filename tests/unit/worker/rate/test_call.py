"""One call in its slot, in virtual time: when it leaves, why it does not, and what the slots hear of the answer."""

import asyncio
from types import SimpleNamespace

import pytest

from couponpress.ledger.fleet_queries import Place
from couponpress_worker.events import Answered, Sent, Unsent
from couponpress_worker.rate.bucket import Grant
from couponpress_worker.rate.call import PacedCall
from couponpress_worker.rate.slots import Slots, SlotsClosedError
from couponpress_worker.wechatpay.client import NotSent
from couponpress_worker.wechatpay.judgement import Accepted, Answer, NoAnswer, Retry, Throttled, judge
from tests.unit.worker.rate.test_slots import run

ACCEPTED = Answer(200, content={"task_id": "t"})
THROTTLED = Answer(429, code="RATELIMIT_EXCEEDED", retry_after_seconds=3.0)
LATENESS = 0.02


class Platform:
    """Answers with what it was given; `before_gate` is what the connection costs, seconds by number of the try."""

    def __init__(self, loop, answer, before_gate=()):
        self.loop, self.answer, self.before_gate = loop, answer, list(before_gate)
        self.left_at = []

    async def __call__(self, gate):
        if self.before_gate:
            await asyncio.sleep(self.before_gate.pop(0))
        await gate()
        self.left_at.append(self.loop.time())
        return self.answer


class Heard:
    """A pace that keeps what it is told."""

    def __init__(self, loop):
        self.loop, self.admitted_at, self.throttled_at = loop, [], []

    async def acquire(self, wanted, urgent=False):
        return Grant(round(self.loop.time() * 1e6), 10_000, 100_000, 1)

    def admitted(self, moment_us):
        self.admitted_at.append(moment_us)

    def throttled(self, moment_us, retry_after_seconds, pause):
        self.throttled_at.append((moment_us, retry_after_seconds))


def set_up(loop):
    heard = Heard(loop)
    return heard, Slots(heard.acquire, lateness_seconds=LATENESS, clock=loop.time, pace=heard)


@pytest.mark.parametrize(
    ("answer", "meaning", "admitted", "throttled"),
    [
        (ACCEPTED, Accepted, 1, 0),
        (NoAnswer("not_sent", "no connection"), Retry, 1, 0),
        (THROTTLED, Throttled, 0, 1),
    ],
)
def test_the_slots_hear_once_what_the_answer_was(answer, meaning, admitted, throttled):
    async def scenario(loop):
        heard, slots = set_up(loop)
        told, place = [], Place("b1.1", 7)
        slot = await slots.take()
        platform = Platform(loop, answer)
        answered = await PacedCall("submit", slots, judge, told.append).once(platform, slot, place=place)
        assert answered.answer is answer
        assert isinstance(answered.judgement, meaning)
        assert heard.admitted_at == [slot.moment_us] * admitted
        assert heard.throttled_at == [(slot.moment_us, 3.0)] * throttled
        assert len(platform.left_at) == 1
        assert [type(event) for event in told] == [Sent, Answered]
        assert told[1] is answered
        assert {(event.kind, event.place) for event in told} == {("submit", place)}
        assert told[0].moment_us == slots.now_us(slot)
        assert slot.earliest <= platform.left_at[0] <= slot.latest
        await slots.close()

    run(scenario)


@pytest.mark.parametrize("reason", ["held", "in doubt", "stopping"])
def test_what_is_refused_at_the_slots_moment_is_not_sent_and_says_why(reason):
    async def scenario(loop):
        heard, slots = set_up(loop)
        slot = await slots.take()
        told, platform = [], Platform(loop, ACCEPTED)
        with pytest.raises(NotSent) as kept_back:
            await PacedCall("submit", slots, judge, told.append).once(platform, slot, refusal=lambda: reason)
        assert kept_back.value.reason == reason
        assert platform.left_at == heard.admitted_at == []
        assert told == [Unsent("submit", reason)]
        await slots.close()

    run(scenario)


def test_a_request_that_misses_its_slot_is_late():
    async def scenario(loop):
        heard, slots = set_up(loop)
        platform = Platform(loop, ACCEPTED, before_gate=[1.0])
        with pytest.raises(NotSent) as told:
            await PacedCall("query", slots, judge).once(platform, await slots.take())
        assert told.value.reason == "late"
        assert platform.left_at == heard.admitted_at == []
        await slots.close()

    run(scenario)


def test_in_time_takes_another_slot_until_one_is_in_time():
    async def scenario(loop):
        heard, slots = set_up(loop)
        platform = Platform(loop, ACCEPTED, before_gate=[1.0, 1.0])
        answered = await PacedCall("query", slots, judge).in_time(platform)
        assert isinstance(answered.judgement, Accepted)
        assert len(platform.left_at) == len(heard.admitted_at) == 1
        assert slots.given_up == 2
        await slots.close()

    run(scenario)


def test_in_time_ends_with_the_reason_and_takes_no_slot_for_it():
    async def scenario(loop):
        _, slots = set_up(loop)
        with pytest.raises(NotSent, match="held"):
            await PacedCall("query", slots, judge).in_time(Platform(loop, ACCEPTED), refusal=lambda: "held")
        assert slots.granted == 0
        await slots.close()

    run(scenario)


def test_in_time_ends_when_the_slots_are_closed():
    async def scenario(loop):
        _, slots = set_up(loop)
        await slots.close()
        with pytest.raises(SlotsClosedError):
            await PacedCall("query", slots, judge).in_time(Platform(loop, ACCEPTED))

    run(scenario)


def test_an_answers_time_begins_when_the_bytes_leave(monkeypatch):
    """The wait for the slot is not the platform's; of a request that never left, all the time is told."""

    class Slow(Platform):
        async def __call__(self, gate):
            if isinstance(self.answer, Answer):
                await gate()
            await asyncio.sleep(2.0)
            return self.answer

    async def scenario(loop):
        monkeypatch.setattr("couponpress_worker.rate.call.time", SimpleNamespace(monotonic=loop.time))
        _, slots = set_up(loop)
        for answer in (ACCEPTED, NoAnswer("not_sent", "no connection")):
            slot = await slots.take()
            answered = await PacedCall("submit", slots, judge).once(Slow(loop, answer), slot)
            assert answered.seconds == pytest.approx(2.0, abs=0.001)
        await slots.close()

    run(scenario)
