"""Robots are told of a run's end, a hold and a killed worker, each once, though the worker that tells is killed."""

from contextlib import ExitStack

import pytest
import redis

from couponpress.keys import Keys
from couponpress_worker.demo.fleet import fleet
from tests.flow.test_fleet import client_of, wait_until
from tests.flow.test_redis import bodies, finished, process_of
from tests.robots import SECRET, DingTalk, Webhook, WeCom, running

pytestmark = pytest.mark.flow

HAPPENED = (
    "the whole fleet is held",
    "the whole fleet goes on",
    "run flow finished: 300 of 300",
    "is gone and did not",
)


@pytest.fixture
def robots(tmp_path, monkeypatch):
    robots = {"wecom": WeCom(), "dingtalk": DingTalk(secret=SECRET), "webhook": Webhook(secret=SECRET)}
    with ExitStack() as stack:
        tables = []
        for kind, robot in robots.items():
            base = stack.enter_context(running(robot))
            (tmp_path / kind).write_text(base + robot.path)
            tables.append(f'[[notify]]\nkind = "{kind}"\nurl_file = "{kind}"\nbase_url = "{base}"\n')
            tables.append('secret_env = "ROBOT_SECRET"\n' if robot.secret else "")
        (tmp_path / "notify.toml").write_text("".join(tables))
        monkeypatch.setenv("ROBOT_SECRET", SECRET)
        monkeypatch.setenv("COUPONPRESS_NOTIFY_FILE", str(tmp_path / "notify.toml"))
        yield robots


def told(robot):
    """Everything that a robot took; a webhook may get the same twice, under one id."""
    if isinstance(robot, Webhook):
        return "\n".join({one["id"]: one["text"] for one in robot.taken}.values())
    return "\n".join(robot.texts())


def test_each_event_is_told_once_though_the_worker_that_tells_is_killed(tmp_path, robots):
    with fleet(tmp_path) as (services, env), client_of(env) as client:
        keys = Keys(env["COUPONPRESS_MCHID"])
        workers = [process_of(services, "worker"), services.start("worker", env=env)]
        with redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"]) as plain:

            def tells(process):
                leader = plain.get(keys.notify_leader) or b""
                return leader.decode().partition(":")[2].startswith(f"{process.pid}:")

            client.pause()
            client.enqueue_many(bodies(300), run="flow")
            wait_until(lambda: all(HAPPENED[0] in told(robot) for robot in robots.values()), 60, "the hold to be told")
            wait_until(lambda: len([one for one in client.overview().workers if one.state]) == 2, 60, "both workers")
            (first,) = filter(tells, workers)
            client.resume()
            wait_until(lambda: plain.llen(keys.notify_queue("wecom")), 30, "what waits for others")
            services.let_go(first)
            first.kill()
            first.wait()
            finished(client, "flow", 60)
            everything = lambda: all(event in told(robot) for robot in robots.values() for event in HAPPENED)  # noqa: E731
            wait_until(everything, 90, "everything to be told")
            wait_until(lambda: not plain.keys(keys.notify_queue("*")), 30, "empty queues")
    for kind, robot in robots.items():
        assert {event: told(robot).count(event) for event in HAPPENED} == dict.fromkeys(HAPPENED, 1), kind
        assert robot.refused == []
