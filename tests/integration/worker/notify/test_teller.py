"""A target is told what waits: one message for several events, again when it was not taken, never twice."""

import asyncio
import logging

import pytest
from redis.asyncio import Redis

from couponpress.notify.kinds import KINDS
from couponpress.notify.target import Target
from couponpress_worker.notify.outbox import Outbox
from couponpress_worker.notify.sender import Sender
from couponpress_worker.notify.teller import Teller
from tests.builders import KEYS, MCHID
from tests.integration.worker.notify.test_outbox import break_off, occurrence
from tests.robots import DingTalk, Webhook, running

SECRET = "a secret of some length"
ABOUT = {"kind": "partner", "scope": "partner", "number": "", "reason": "r", "why": "", "cure": "c", "by": ""}
ABOUT |= {"until": None, "since": 1.0}


class Fleet:
    """Processes that tell a robot; each turn is made by a new one."""

    def __init__(self, url, client, robot, target):
        self.url, self.client, self.robot, self.target = url, client, robot, target

    def put(self, *numbers):
        async def once(box):
            for number in numbers:
                await box.put(
                    occurrence(number, about=ABOUT | {"n": number, "scope": f"scope {number}", "kind": "run"}),
                    [self.target],
                )

        self.on(lambda _, box: once(box))

    def turn(self, **options):
        """Tell what waits; the rest after it is skipped, and its length returned, ms."""

        async def once(server, box):
            sender = Sender(MCHID, "en", **options)
            try:
                await Teller(self.target, box, sender, gather_ms=0).turn()
            finally:
                await sender.aclose()

        self.on(once)
        rests = self.client.keys(KEYS.notify_rest("*"))
        waited = [self.client.pttl(rest) for rest in rests]
        if rests:
            self.client.delete(*rests)
        return round(max(waited, default=0) / 1000)

    def on(self, function):
        async def once():
            async with Redis.from_url(self.url) as server:
                return await function(server, Outbox(server, KEYS, "one"))

        return asyncio.run(once())


@pytest.fixture
def ding(redis_url, client):
    robot = DingTalk(secret=SECRET)
    with running(robot) as base:
        target = Target("ding", KINDS["dingtalk"], base + robot.path, SECRET.encode())
        yield Fleet(redis_url, client, robot, target)


@pytest.fixture
def hook(redis_url, client):
    robot = Webhook(secret=SECRET)
    with running(robot) as base:
        yield Fleet(redis_url, client, robot, Target("hook", KINDS["webhook"], base + robot.path, SECRET.encode()))


def test_several_events_are_one_message_and_none_is_told_twice(ding):
    ding.put(1, 2, 3)
    assert ding.turn() == 4
    assert ding.turn() == 0
    (text,) = ding.robot.texts()
    assert all(f"run scope {number} is held" in text for number in (1, 2, 3))


def test_a_webhook_gets_each_event_by_itself(hook):
    hook.put(1, 2)
    for _ in range(3):
        hook.turn()
    assert [one["id"] for one in hook.robot.taken] == [f"{MCHID}:hold.begun:1", f"{MCHID}:hold.begun:2"]


def test_what_a_robot_refuses_is_tried_again_and_told_once(ding, caplog):
    ding.robot.secret = "another"
    ding.put(1)
    with caplog.at_level(logging.WARNING):
        assert ding.turn() == 600
    assert "copy the secret" in caplog.text
    assert "access_token=***" not in caplog.text
    ding.robot.secret = SECRET
    ding.put(2)
    ding.turn()
    ding.turn()
    assert len(ding.robot.taken) == 1
    assert "scope 1" in ding.robot.texts()[0]


def test_a_robot_that_is_down_is_tried_again_after_longer_each_time(ding):
    ding.robot.answers.extend([(502, {}), (502, {}), (502, {})])
    ding.put(1)
    assert [ding.turn() for _ in range(4)] == [2, 4, 8, 4]
    assert len(ding.robot.taken) == 1


def test_a_robot_that_was_sent_too_much_rests(ding):
    ding.robot.answers.append((200, {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}))
    ding.put(1)
    assert ding.turn() == 600
    ding.turn()
    assert len(ding.robot.taken) == 1


def test_a_message_without_an_answer_is_not_sent_again(ding, caplog):
    ding.robot.answers.append(("silence", None))
    ding.put(1)
    ding.turn(step_seconds=0.2)
    ding.turn()
    assert ding.robot.received == 1
    assert "ding may not have been told of hold.begun:1" in caplog.text


def test_a_webhook_without_an_answer_gets_it_again_under_the_same_id(hook):
    hook.robot.answers.append(("silence", None))
    hook.put(1)
    hook.turn(step_seconds=0.2)
    hook.turn()
    assert hook.robot.received == 2
    assert len(hook.robot.taken) == 1


def test_a_process_that_dies_in_the_middle_of_a_call_tells_nothing_twice(ding, client, caplog):
    ding.put(1)
    ding.on(lambda _, box: box.take(ding.target, 20, 0))
    ding.put(2)
    ding.turn()
    assert ding.robot.received == 0
    break_off(client, ding.target)
    ding.turn()
    (text,) = ding.robot.texts()
    assert ("scope 2" in text, "scope 1" in text) == (True, False)
    assert "may not have been told of hold.begun:1: its process ended" in caplog.text


def test_no_secret_is_logged_or_stored(ding, client, caplog):
    ding.robot.secret = "another"
    ding.put(1)
    with caplog.at_level(logging.DEBUG):
        ding.turn()
    stored = repr([client.dump(key) for key in client.keys("*")]) + repr(client.keys("*"))
    for text in (caplog.text, stored, repr(client.hgetall(KEYS.notify_call("ding")))):
        assert SECRET not in text
        assert ding.target.url.partition("=")[2] not in text
