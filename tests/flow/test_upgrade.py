"""The latest release and this tree on one Redis: a rolling upgrade and the way back, under load."""

import json
import os
import signal
import subprocess
import sys

import pytest

from couponpress_worker.demo.fleet import fleet, sample_catalog, statistics
from tests import processes, release
from tests.flow.test_fleet import client_of, surely_in_any_second, wait_until

pytestmark = pytest.mark.flow

RATE, ROWS = 100, 300


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The environment in which a process is of the latest release."""
    directory = release.unpacked(release.latest(), tmp_path_factory.mktemp("release"))
    env = {"PYTHONPATH": str(directory)}
    told = subprocess.run(
        [sys.executable, "-c", "import couponpress, couponpress_worker as w; print(couponpress.__file__, w.__file__)"],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [path.startswith(str(directory)) for path in told.stdout.split()] == [True, True], told.stdout
    return env


def command(env, *words):
    """Run a command to its end; returns what it printed."""
    done = processes.run(
        [sys.executable, "-m", "couponpress", *words],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def test_an_upgrade_and_a_downgrade_under_load_lose_nothing_and_keep_the_limit(tmp_path, released):
    catalog = tmp_path / "catalog.csv"
    sample_catalog.write(catalog, rows=ROWS, broken=0)
    setting = {"COUPONPRESS_RATE": f"{RATE}/second"}

    def started(services, env):
        process = services.start("worker", env=env)
        services.let_go(process)
        workers.append(process)
        return process

    def replaced(services, process, env):
        """Start the new one first, as a rolling restart does."""
        started(services, env)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    workers = []
    try:
        with fleet(tmp_path, "--strict", workers=0) as (services, env), client_of(env) as client:
            tree = env | setting
            old = tree | released

            def begun(run):
                return wait_until(lambda: client.run(run).succeeded >= ROWS // 6, 60, f"the first pictures of {run}")

            def ended(run):
                return wait_until(lambda: (told := client.run(run)).finished and told, 60, f"the end of {run}")

            first, second = started(services, old), started(services, old)
            command(old, "submit", str(catalog), "--run", "before")
            begun("before")
            replaced(services, first, tree)
            command(old, "submit", str(catalog), "--run", "between")  # an old producer, and one worker of each
            assert '"before"' in command(old, "status", "before", "--json")
            replaced(services, second, tree)
            assert not ended("before").failed
            begun("between")
            command(tree, "submit", str(catalog), "--run", "after")
            assert not ended("between").failed
            begun("after")
            for process in workers[2:4]:  # and back again, with what the new version has stored
                replaced(services, process, old)
            command(tree, "submit", str(catalog), "--run", "back")  # a new producer before old workers
            assert '"after"' in command(old, "status", "after", "--json")
            ended("after")
            ended("back")
            outcomes = {run: list(client.outcomes(run)) for run in ("before", "between", "after", "back")}
            seen, surely = statistics(tree["COUPONPRESS_BASE_URL"]), surely_in_any_second(tree["COUPONPRESS_BASE_URL"])
            told_by_old = command(old, "results", "after", "--format", "jsonl").splitlines()
            one = outcomes["after"][0].task_id
            shown = [json.loads(command(env, "show", one, "--json"))["events"] for env in (old, tree)]
    finally:
        for process in workers:
            process.kill()
            process.wait()
    for found in outcomes.values():
        assert {one.outcome for one in found} == {"succeeded"}
        assert len({one.task_id for one in found}) == ROWS
    assert len(told_by_old) == ROWS
    assert [event["event"] for event in shown[0]] == ["enqueued", "accepted", "succeeded"]
    assert shown[1][1].pop("request_id")
    assert shown[0][1].pop("request_id") == ""
    assert shown[0] == shown[1]
    assert (seen["accepted"], seen["throttled"]) == (4 * ROWS, 0)
    assert surely <= RATE
