"""`couponpress health` as a probe calls it: a process of its own, without Redis."""

import json
import os
import sys
import tempfile
import time

import pytest

from couponpress_worker.runtime.heartbeat import Beat, Heartbeat, directory, fleet_prefix
from tests import processes
from tests.builders import producer_settings

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of its own: signs of life lie in its folder for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def heartbeat():
    heartbeat = Heartbeat(directory(), fleet_prefix(producer_settings(NOBODY_LISTENS)))
    yield heartbeat
    heartbeat.close()


def health(*words):
    env = os.environ | {"COUPONPRESS_REDIS_URL": NOBODY_LISTENS, "COUPONPRESS_MCHID": producer_settings().mchid}
    command = [sys.executable, "-m", "couponpress", "health", *words]
    done = processes.run(command, env=env, check=False, capture_output=True, timeout=60, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("state", "age_seconds", "code", "told"),
    [
        ("sending", 0, 0, "ok   worker {pid}: sending, 7 sent, 2 chunks in hand\n"),
        ("Redis away", 0, 0, "ok   worker {pid}: Redis away, 7 sent, 2 chunks in hand\n"),
        ("platform down", 0, 0, "ok   worker {pid}: platform down, 7 sent, 2 chunks in hand\n"),
        ("stuck", 0, 1, "FAIL worker {pid}: stuck, 7 sent, 2 chunks in hand: work waits and slots are free"),
        ("sending", 1000, 1, "FAIL worker {pid}: sending, 7 sent, 2 chunks in hand: no sign of life for 100"),
    ],
)
def test_it_says_how_each_process_is_and_exits_accordingly(heartbeat, state, age_seconds, code, told):
    heartbeat.write(Beat("worker", os.getpid(), state, 7, 2, time.time() - age_seconds))
    returned, shown = health()
    assert returned == code
    assert shown.startswith(told.format(pid=os.getpid()))


def test_it_can_look_at_one_process_and_speak_json(heartbeat):
    heartbeat.write(Beat("worker", os.getpid(), "idle", 7, 2, time.time()))
    code, shown = health("--json", "--pid", str(os.getpid()))
    found = json.loads(shown)
    assert (code, found["healthy"], found["processes"][0]["state"]) == (0, True, "idle")
    assert health("--json", "--pid", "1") == (1, '{"healthy": false, "processes": []}\n')


def test_a_callback_receiver_is_shown_and_is_no_worker(heartbeat):
    heartbeat.write(Beat("callback", os.getpid(), "receiving", 0, 0, time.time(), {"certificates": 2}))
    told = "FAIL no worker or scheduler of this partner runs on this machine\n"
    assert health() == (1, f"ok   callback {os.getpid()}: receiving\n{told}")
    code, shown = health("--json", "--pid", str(os.getpid()))
    assert (code, json.loads(shown)["processes"][0]["loop_failures"]) == (0, {"certificates": 2})


def test_a_machine_on_which_nothing_runs_is_not_healthy():
    assert health() == (1, "FAIL no worker or scheduler of this partner runs on this machine\n")
