"""The chunk task under Celery's own tracer, with its result backend there and away."""

import json
import os
import subprocess
import sys

import redis

from couponpress.keys import Keys
from tests.builders import MCHID, fleet_values

#: A worker process whose app is configured from the environment, and that was given one hint. A hint's headers carry
#: the flag for results, and what they say comes before the task's own.
ONE_HINT = """
import logging
from celery.app.trace import build_tracer
from couponpress_worker import tasks
from couponpress_worker.submission.leased_chunk import Summary

class Submits:
    def submit_chunk(self, chunk_id):
        return Summary(chunk_id, "closed", 100, {"Accepted": 100})

logging.basicConfig(level=logging.INFO, format="%(message)s")
tasks.this_process = Submits
task = tasks.app.tasks[tasks.SUBMIT_TASK]
tracer = build_tracer(task.name, task, app=tasks.app)
done = tracer("5c1f", ["b1.1"], {}, {"id": "5c1f", "task": task.name, "ignore_result": False})
print(done.info or done.retval["sent"])
"""


def hinted(url, **settings):
    """Run the task in a process of its own, for Celery reads its settings once; returns what it tells and its log."""
    env = {f"COUPONPRESS_{name.upper()}": str(value) for name, value in fleet_values(redis_url=url, **settings).items()}
    command = [sys.executable, "-c", ONE_HINT]
    done = subprocess.run(command, env=os.environ | env, check=True, timeout=60, capture_output=True, text=True)
    return done.stdout.strip(), done.stderr


def test_celery_keeps_what_a_chunk_s_task_did(redis_url):
    told, log = hinted(redis_url, celery_results="true")
    assert (told, "is not kept" in log) == ("100", False)
    with redis.Redis.from_url(redis_url) as server:
        kept = json.loads(server.get(f"{Keys(MCHID).task_results}5c1f"))
    assert (kept["status"], kept["result"]["chunk"], kept["result"]["sent"]) == ("SUCCESS", "b1.1", 100)


def test_nothing_is_kept_unless_it_is_asked_for(redis_url):
    assert hinted(redis_url)[0] == "100"
    with redis.Redis.from_url(redis_url) as server:
        assert server.dbsize() == 0


def test_a_redis_that_is_away_makes_no_task_that_did_its_work_one_that_failed():
    told, log = hinted("redis://127.0.0.1:1/0", celery_results="true")
    assert told == "100"
    assert log.count("the summary of chunk b1.1 is not kept, its specs are:") == 1
    assert "Traceback" not in log
