"""Workers that are told to stop, under load: judged by the exit, by the clock, and by what arrived at the platform."""

import signal
import time
from collections import Counter

import httpx
import pytest

from couponpress_worker.demo.fleet import fleet, statistics
from couponpress_worker.runtime import heartbeat
from couponpress_worker.timings import REAL
from tests.flow.test_fleet import client_of, settings_of, surely_in_any_second, wait_until
from tests.flow.test_outage import arrivals, control, specs

pytestmark = pytest.mark.flow

LIMIT = 100
#: What a rolling restart is judged at, and more specs than it can take: the rest is cancelled.
RESTART_LIMIT, SPECS = 50, 5000
#: The promise: what a rolling restart of the whole fleet costs, in seconds of its rate.
COST_SECONDS = 5


def workers(services):
    return [process for name, process in services._started if name == "worker"]


def is_well(env, process):
    return heartbeat.health(heartbeat.directory(), heartbeat.fleet_prefix(settings_of(env)), pid=process.pid).healthy


def beats(env):
    """The signs of life of the workers."""
    living = heartbeat.living(heartbeat.directory(), heartbeat.fleet_prefix(settings_of(env)))
    return [one for one in living if one.role == "worker"]


def fed(env, client, count):
    """Enqueue more specs than `count` until each worker has sent some, whoever takes which chunk; returns how many."""
    asked = time.time()
    wait_until(lambda: all(one.at > asked for one in beats(env)), 10, "a sign of life of each worker")
    before = {one.pid: one.sent for one in beats(env)}
    for _ in range(10):
        count += 300
        client.enqueue_many(specs(count), run="flow")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if all(one.sent > before[one.pid] for one in beats(env)):
                return count
            time.sleep(0.1)
    raise AssertionError("one worker gets nothing to do")


def offsets_of(base_url):
    """When each submit arrived, counted from the first."""
    return httpx.get(f"{base_url}/sandbox/arrivals", timeout=30).raise_for_status().json()["offsets"]


def at_its_rate(base_url):
    """Whether the last five seconds were near the rate: what a restart costs is told by it."""
    offsets = offsets_of(base_url)
    return bool(offsets) and sum(at > offsets[-1] - 5 for at in offsets) > 0.85 * RESTART_LIMIT * 5


def ended(process, seconds):
    started = time.monotonic()
    process.wait(seconds)
    return time.monotonic() - started


def test_a_rolling_restart_loses_nothing_sends_nothing_twice_and_costs_little(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_RATE", f"{RESTART_LIMIT}/second")
    with fleet(tmp_path, "--limit", str(RESTART_LIMIT), workers=2) as (services, env), client_of(env) as client:
        old = workers(services)
        wait_until(lambda: all(is_well(env, one) for one in old), 60, "healthy workers")
        base_url = env["COUPONPRESS_BASE_URL"]
        client.enqueue_many(specs(SPECS), run="flow")
        wait_until(lambda: at_its_rate(base_url), 80, "a fleet at its rate")
        started = time.time()
        took = []
        for one in old:
            services.let_go(one)
            one.terminate()
            took.append(ended(one, 30))
            new = services.start("worker", env=env)
            wait_until(lambda new=new: is_well(env, new), 30, "a worker in its place")
        over = time.time()
        judged = over + 5 - statistics(base_url)["first_arrival"]
        wait_until(
            lambda: time.time() > over + 5 and offsets_of(base_url)[-1] > judged,
            60,
            "some seconds more of the rate",
        )
        cancelled = client.cancel("flow")
        status = wait_until(lambda: (s := client.run("flow")).finished and s, 60, "the end of the run")
        services.check()
        seen, told, surely = statistics(base_url), arrivals(base_url), surely_in_any_second(base_url)
    assert [one.returncode for one in old] == [0, 0]
    taken_by_platform = SPECS - cancelled
    assert status.cancelled == cancelled > 0, "the run was too short to judge"
    assert (status.succeeded, seen["accepted"], seen["doubled"]) == (taken_by_platform, taken_by_platform, 0)
    assert surely <= RESTART_LIMIT
    # A platform whose own loop is late sees a bunch, and refuses some of it; those are sent again, as they should be.
    assert seen["throttled"] == 0 or seen["most_in_any_second"] > surely
    taken = [task_id for task_id, status in zip(told["task_ids"], told["statuses"], strict=True) if status != 429]
    assert max(Counter(taken).values()) == 1
    start, end = (moment - seen["first_arrival"] for moment in (started, over))
    steady = sum(start - 5 <= at < start for at in told["offsets"]) / 5
    end += 5  # some seconds more
    cost = (end - start) - sum(start <= at < end for at in told["offsets"]) / steady
    print(f"stopped in {took} s; the restart took {over - started:.1f} s and cost {cost:.2f} s of {steady:.0f}/s")  # noqa: T201 - the figures, with -s
    assert steady > 0.8 * RESTART_LIMIT
    assert cost < COST_SECONDS


def test_a_worker_that_is_stopped_amid_silence_waits_for_its_answers_but_not_for_ever(tmp_path, monkeypatch):
    spans = REAL.scaled(0.3)
    monkeypatch.setenv("COUPONPRESS_TIMING_SCALE", "0.3")  # long enough to be told a second time meanwhile
    monkeypatch.setenv("COUPONPRESS_RATE", f"{LIMIT}/second")
    with fleet(tmp_path, "--limit", str(LIMIT), workers=2) as (services, env), client_of(env) as client:
        patient, pressed = workers(services)
        wait_until(lambda: is_well(env, patient) and is_well(env, pressed), 60, "healthy workers")
        base_url = env["COUPONPRESS_BASE_URL"]
        first = fed(env, client, 0)  # one that had none accepted would send a little at a time
        wait_until(lambda: client.run("flow").finished, 60, "the end of the first specs")
        control(base_url, faults={"silence": 100})
        total = fed(env, client, first)
        wait_until(lambda: statistics(base_url)["received"] > first + LIMIT, 60, "requests without an answer")
        for one in (patient, pressed):
            services.let_go(one)
            one.terminate()
        time.sleep(1)
        sent = statistics(base_url)["received"]
        pressed.send_signal(signal.SIGTERM)
        assert ended(pressed, 10) < 3
        assert ended(patient, 30) < spans.connect + spans.answer + 2
        assert statistics(base_url)["received"] == sent
        control(base_url, faults={"silence": 0})
        services.start("worker", env=env)
        status = wait_until(lambda: (s := client.run("flow")).finished and s, 120, "the end of the run")
        seen = statistics(base_url)
    assert (patient.returncode, pressed.returncode) == (0, 1)
    assert (status.succeeded, seen["accepted"]) == (total, total)
