"""Each robot's stand-in takes what we send, and what it answers to what it does not take is told with its cure."""

import asyncio
import inspect
import time
from dataclasses import replace

import pytest

from couponpress.notify.kinds import EVENTS, KINDS
from couponpress.notify.target import Target
from couponpress.transport.proxy import ProxyRule
from couponpress.transport.web_address import never_called
from couponpress_worker.notify.sender import Sender
from tests.builders import MCHID
from tests.connect_proxy import ConnectProxy
from tests.robots import ROBOTS, SECRET, running
from tests.unit.worker.notify.test_sentences import ABOUT, HEADINGS, occurrence


def send(target, occurrences, language="en", **options):
    async def once():
        sender = Sender(MCHID, language, **options)
        try:
            return await sender.send(target, occurrences)
        finally:
            await sender.aclose()

    return asyncio.run(once())


def of(*kinds):
    """Try these kinds alone."""
    return pytest.mark.parametrize("robot", kinds, indirect=True)


@pytest.fixture(params=ROBOTS)
def robot(request):
    kind = request.param
    robot = ROBOTS[kind](secret=None if kind == "wecom" else SECRET, keyword="couponpress")
    with running(robot) as base:
        robot.target = Target(kind, KINDS[kind], base + robot.path, None if kind == "wecom" else SECRET.encode())
        yield robot


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_taken(robot, event):
    answer = send(robot.target, [occurrence(event)])
    assert (answer.verdict, robot.refused) == ("taken", [])
    assert HEADINGS[event] in robot.texts()[0]


@of("wecom", "dingtalk", "feishu")
def test_many_events_are_one_message_that_fits(robot):
    happened = [occurrence("hold.begun", reason="原因" * 2000, why="因" * 500) for _ in range(20)]
    answer = send(robot.target, happened, "zh_CN")
    assert (answer.verdict, len(robot.taken)) == ("taken", 1)
    assert robot.texts()[0].count("全部发送：已暂停") == 20


def test_a_target_is_told_in_its_language(robot):
    send(replace(robot.target, language="zh_CN"), [occurrence("run.finished")])
    assert "批次 五月 已结束" in robot.texts()[0]


@of("dingtalk", "feishu", "webhook")
def test_another_secret_is_refused_and_the_cure_says_so(robot):
    answer = send(replace(robot.target, secret=b"another secret of some length"), [occurrence("test")])
    assert answer.verdict == "refused"
    assert "secret" in answer.cure


@of("dingtalk", "feishu", "webhook")
def test_a_clock_that_is_hours_off_is_refused(robot):
    answer = send(robot.target, [occurrence("test")], now=lambda: time.time() - 2 * 3600)
    assert answer.verdict == "refused"
    assert "clock" in answer.cure


@of("wecom", "dingtalk", "feishu")
def test_another_token_is_refused_and_the_cure_says_so(robot):
    answer = send(replace(robot.target, url=robot.target.url + "x"), [occurrence("test")])
    assert answer.verdict == "refused"
    assert answer.cure == "copy the robot's Webhook address from the group's settings again"


@of("dingtalk", "feishu")
def test_a_keyword_that_no_message_holds_is_refused(robot):
    robot.keyword = "监控报警"
    answer = send(robot.target, [occurrence("test")])
    assert (answer.verdict, answer.cure.startswith("add the keyword couponpress")) == ("refused", True)


@of("wecom", "dingtalk", "feishu")
def test_a_robot_that_was_sent_too_much_is_left_alone(robot):
    answers = [send(robot.target, [occurrence("test")]) for _ in range(robot.PER_MINUTE + 1)]
    assert {one.verdict for one in answers[:-1]} == {"taken"}
    assert (answers[-1].verdict, answers[-1].wait_seconds >= 60) == ("later", True)


@pytest.mark.parametrize(
    ("status", "body", "verdict"), [(502, {}, "later"), (200, None, "later"), (429, {}, "later"), (302, {}, "later")]
)
@of("wecom", "dingtalk", "feishu")
def test_what_answers_in_a_robot_s_place_is_no_success(robot, status, body, verdict):
    robot.answers.append((status, body))
    assert send(robot.target, [occurrence("test")]).verdict == verdict


def test_without_an_answer_nobody_knows(robot):
    robot.answers.append(("silence", None))
    answer = send(robot.target, [occurrence("test")], step_seconds=0.2)
    assert (answer.verdict, answer.words) == ("unknown", "no answer in time")


def test_what_cannot_be_reached_was_not_told(robot):
    answer = send(replace(robot.target, url="http://127.0.0.1:9/cgi-bin/webhook/send?key=secret"), [occurrence("test")])
    assert answer.verdict == "later"
    assert "secret" not in answer.words + answer.cure


def test_an_address_that_is_never_called_is_not_called(robot):
    async def resolve(host, port):
        return ["127.0.0.2"]

    target = replace(robot.target, url="http://robots.example/send?key=1")
    answer = send(target, [occurrence("test")], resolve=resolve, forbids=lambda _: "an address that is not called")
    assert (answer.verdict, "which is an address that is not called" in answer.words) == ("refused", True)
    assert inspect.signature(Sender).parameters["forbids"].default is never_called
    assert robot.received == 0


def test_a_proxy_is_used_where_one_is_set(robot):
    with ConnectProxy() as proxy:
        rule = ProxyRule.of({"COUPONPRESS_PROXY": proxy.url})
        assert send(robot.target, [occurrence("test")], rule=rule).verdict == "taken"
        assert proxy.asked


def test_events_of_the_fleet_and_tests_are_all_that_is_told():
    assert set(ABOUT) == {*EVENTS, "test"}
