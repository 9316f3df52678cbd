"""What waits to be told: put there once, told once, whoever dies in between."""

import asyncio
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from couponpress.notify.kinds import KINDS
from couponpress.notify.target import Target
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.outbox import LONGEST_WAIT_MS, MOST_WAITING, Outbox
from tests.builders import KEYS

ROBOT = Target("ding", KINDS["dingtalk"], "https://oapi.dingtalk.com/robot/send?access_token=1")
HOOK = Target("hook", KINDS["webhook"], "https://shop.example/told", b"s" * 16)


def occurrence(number=1, **changes):
    return replace(Occurrence(f"hold.begun:{number}", "hold.begun", 1.0, {"n": number}), **changes)


@pytest.fixture
def on(redis_url, client):
    """Call a function with an outbox of a process."""

    def call(function, owner="one"):
        async def once():
            async with Redis.from_url(redis_url) as server:
                return await function(Outbox(server, KEYS, owner))

        return asyncio.run(once())

    return call


def put(on, *numbers, targets=(ROBOT, HOOK)):
    async def all_of(box):
        return [await box.put(occurrence(number), targets) for number in numbers]

    return on(all_of)


def take(on, target=ROBOT, most=20, gather_ms=0, owner="one"):
    return on(lambda box: box.take(target, most, gather_ms), owner)


def numbers(taken):
    return [one.about["n"] for one in taken.occurrences]


def test_an_occurrence_is_put_there_once(on, client):
    assert put(on, 1, 1, 2) == [True, False, True]
    assert numbers(take(on)) == [1, 2]
    assert client.ttl(KEYS.notify_claim("hold.begun:1")) > 0


def test_whom_it_does_not_concern_is_not_told(on):
    put(on, 1, targets=[replace(ROBOT, events=("run.finished",)), HOOK])
    assert take(on) is None
    assert numbers(take(on, HOOK)) == [1]


def test_while_a_call_is_under_way_nobody_makes_another(on):
    put(on, 1)
    assert numbers(take(on)) == [1]
    put(on, 2)
    assert take(on) is take(on, owner="two") is None
    on(lambda box: box.told(ROBOT, 0))
    assert numbers(take(on, owner="two")) == [2]


def test_a_robot_rests_between_two_messages_also_for_other_targets(on, client):
    put(on, 1)
    take(on)
    on(lambda box: box.told(ROBOT, 4))
    put(on, 2, targets=[ROBOT, replace(ROBOT, name="again")])
    assert take(on) is take(on, replace(ROBOT, name="again")) is None
    (rest,) = client.keys(KEYS.notify_rest("*"))
    assert 3000 < client.pttl(rest) <= 4000
    client.delete(rest)
    assert numbers(take(on)) == [2]


def test_what_was_not_taken_comes_first_again_and_counts(on, client):
    put(on, 1, 2)
    take(on)
    on(lambda box: box.not_told(ROBOT, "errcode 310000", 0))
    put(on, 3)
    taken = take(on)
    assert (numbers(taken), taken.tries) == ([1, 2, 3], 1)
    on(lambda box: box.not_told(ROBOT, "errcode 310000", 0))
    assert client.hget(KEYS.notify_call("ding"), "objection") == b"errcode 310000"
    assert take(on).tries == 2
    on(lambda box: box.told(ROBOT, 0))
    put(on, 4)
    assert take(on).tries == 0


def test_the_first_waits_for_others(on, client):
    put(on, 1)
    assert take(on, gather_ms=60_000) is None
    assert numbers(take(on, most=1)) == [1]


def break_off(client, target):
    """Let the call of a process that died be over."""
    client.hset(KEYS.notify_call(target.name), "until_ms", 1)


def test_a_robot_is_not_told_again_what_a_dead_process_may_have_told(on, client):
    put(on, 1)
    take(on, owner="dead")
    put(on, 2)
    break_off(client, ROBOT)
    taken = take(on)
    assert [one.about["n"] for one in taken.perhaps_told] == [1]
    assert numbers(taken) == [2]


def test_nothing_else_waits_after_a_dead_process(on, client):
    put(on, 1)
    take(on, owner="dead")
    break_off(client, ROBOT)
    taken = take(on)
    assert (len(taken.perhaps_told), taken.occurrences) == (1, ())
    assert take(on) is None


def test_a_webhook_is_told_again_under_the_same_id(on, client):
    put(on, 1, 2)
    take(on, HOOK, most=1, owner="dead")
    break_off(client, HOOK)
    assert numbers(take(on, HOOK, most=1)) == [1]


def test_a_process_that_was_thought_dead_changes_nothing(on, client):
    put(on, 1, 2)
    take(on, most=1, owner="slow")
    break_off(client, ROBOT)
    assert numbers(take(on)) == [2]
    on(lambda box: box.not_told(ROBOT, "late", 60), "slow")
    on(lambda box: box.told(ROBOT, 0))
    assert take(on) is None
    assert not client.keys(KEYS.notify_rest("*"))


def test_what_waits_for_a_day_is_given_up(on, client):
    put(on, 1, 2)
    queue = KEYS.notify_queue("ding")
    moment, _, text = client.lindex(queue, 0).partition(b" ")
    client.lset(queue, 0, b"%d %s" % (int(moment) - LONGEST_WAIT_MS - 60_000, text))
    taken = take(on)
    assert [one.about["n"] for one in taken.given_up] == [1]
    assert numbers(taken) == [2]


def test_what_waits_is_bounded_and_does_not_stay_for_ever(on, client):
    put(on, *range(MOST_WAITING + 3), targets=[ROBOT])
    assert client.llen(KEYS.notify_queue("ding")) == MOST_WAITING
    assert numbers(take(on, most=1)) == [3]
    assert client.ttl(KEYS.notify_queue("ding")) > 86400
