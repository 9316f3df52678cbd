"""A worker that lives and does nothing: it is found out, says so, and exits; another one does its work.

Meanwhile a scheduler, which has nothing to do with it, is watched as well and stops in order.
"""

import json
import os
import socket
import sys

import pytest

from couponpress.keys import Keys, queue_name
from couponpress_worker.demo.fleet import fleet
from couponpress_worker.sandbox.credentials import MCHID
from tests import processes
from tests.flow.spans import SPANS
from tests.flow.test_fleet import client_of, wait_until
from tests.flow.test_outage import specs
from tests.flow.test_shutdown import ended, is_well

pytestmark = pytest.mark.flow

#: As Celery knows them.
QUEUES = [queue_name(Keys(MCHID), queue) for queue in Keys(MCHID).queues]


def health(env, *words):
    """What `couponpress health` says, of workers and schedulers: the callback receiver is well all the time."""
    command = [sys.executable, "-m", "couponpress", "health", "--json", *words]
    done = processes.run(command, env=os.environ | env, check=False, capture_output=True, timeout=30)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["healthy"] else 1)
    return found | {"processes": [one for one in found["processes"] if one["role"] != "callback"]}


def test_a_worker_that_hears_no_hints_any_more_exits_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CELERY_CONTROL", "true")
    with fleet(tmp_path) as (services, env), client_of(env) as client:
        (deaf,) = (process for name, process in services._started if name == "worker")
        wait_until(lambda: is_well(env, deaf), 60, "a healthy worker")
        found = health(env)
        assert [(one["pid"], one["role"], one["state"]) for one in found["processes"]] == [(deaf.pid, "worker", "idle")]
        services.let_go(deaf)
        node = f"couponpress-{deaf.pid}@{socket.gethostname()}"  # one that is named is not waited for any longer
        command = [sys.executable, "-m", "celery", "-A", "couponpress_worker.app", "control", "--timeout", "30"]
        command += ["--destination", node, "cancel_consumer"]
        told = [processes.start([*command, queue], env=os.environ | env) for queue in QUEUES]
        assert [one.wait(60) for one in told] == [0, 0, 0]
        client.enqueue_many(specs(200), run="flow")
        scheduler = services.start("scheduler", env=env)
        wait_until(lambda: is_well(env, scheduler), 60, "a healthy scheduler")
        services.let_go(scheduler)
        scheduler.terminate()
        assert ended(scheduler, 30) < 10
        assert scheduler.returncode == 0
        assert deaf.wait(60) == 1
        log = (tmp_path / "worker.log").read_text()
        assert (
            f"this worker is stuck: for {SPANS.stuck:.0f} s work waits and slots are free, but nothing is sent" in log
        )
        assert health(env) == {"healthy": False, "processes": []}
        healthy = services.start("worker", env=env)
        wait_until(lambda: client.run("flow").succeeded == 200, 60, "the work, done without hints")
        wait_until(lambda: is_well(env, healthy), 60, "a healthy worker")
        assert health(env)["healthy"]
        assert health(env, "--pid", str(deaf.pid)) == {"healthy": False, "processes": []}
