"""Nights of a whole fleet: two schedulers of which one is killed, and a second night that sends only what changed."""

import csv
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import redis

from couponpress.keys import Keys
from couponpress.nightly.claims import NightLedger
from couponpress.nightly.nights import Night
from couponpress_worker.demo.fleet import fleet, statistics
from tests import processes
from tests.flow.test_fleet import client_of, wait_until

pytestmark = pytest.mark.flow

#: Pictures are made at once.
QUICK = ("--picture-seconds", "0.1")
#: Says who reads it, and after 110 of 150 rows waits until it may go on.
GATED = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def rows():
    for number in range(150):
        if number == 110:
            (HERE / f"reader-{os.getpid()}").touch()
            while not (HERE / "go").exists():
                time.sleep(0.05)
        picture = {"image_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"}
        yield {"row_id": f"r{number}", "brand_id": "120344", "image_generation_type": "CUT_OUT", "cut_out": picture}
"""


@pytest.fixture(scope="module")
def a_fleet(tmp_path_factory):
    """A fleet without a scheduler: its services, its settings, a client, the client of its server."""
    with (
        fleet(tmp_path_factory.mktemp("nightly"), *QUICK) as (services, env),
        client_of(env) as client,
        redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"]) as plain,
    ):
        yield services, env, client, plain


@pytest.fixture
def fleet_by_day(a_fleet, tmp_path):
    """The same, of which a test may change the settings; the schedulers that it started are stopped at its end."""
    services, env, client, plain = a_fleet
    httpx.post(f"{env['COUPONPRESS_BASE_URL']}/sandbox/reset").raise_for_status()
    yield services, dict(env), client, plain
    for one in [process for name, process in services._started if name == "scheduler"]:
        services.let_go(one)
        one.terminate()
        one.wait(30)


def scheduled(folder, env, plain, name, source, minutes_ago=0):
    """Write a schedule whose one night of the day is that many minutes ago, and due; returns the night."""
    nights = NightLedger(plain, Keys(env["COUPONPRESS_MCHID"]))
    at = datetime.fromtimestamp(nights.now() // 60 * 60, UTC) - timedelta(minutes=minutes_ago)
    path = folder / "schedules.toml"
    path.write_text(
        f'[schedule.{name}]\ncron = "{at.minute} {at.hour} * * *"\ntime_zone = "UTC"\nsource = "{source}"\n'
    )
    nights.see(name, at.timestamp() - 1)
    env["COUPONPRESS_SCHEDULE_FILE"] = str(path)
    return Night(name, at), nights


def test_of_two_schedulers_one_is_killed_in_mid_upload_and_the_night_is_one_run(fleet_by_day, tmp_path):
    services, env, client, plain = fleet_by_day
    (tmp_path / "their_rows.py").write_text(GATED)
    night, nights = scheduled(tmp_path, env, plain, "gated", "their_rows:rows")
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    schedulers = {one.pid: one for one in (services.start("scheduler", env=env) for _ in range(2))}
    (reader,) = wait_until(lambda: list(tmp_path.glob("reader-*")), 60, "the first reading")
    assert client.run(night.run).total == 0
    killed = schedulers.pop(int(reader.name.removeprefix("reader-")))
    services.let_go(killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    reader.unlink()
    (tmp_path / "go").touch()
    wait_until(lambda: list(tmp_path.glob("reader-*")), 20, "the second reading")
    wait_until(lambda: nights.record(night.run).state == "done", 60, "the end of the night")
    status, seen = client.run(night.run), statistics(env["COUPONPRESS_BASE_URL"])
    assert [one.run for one in client.runs() if one.run.startswith("gated-")] == [night.run]
    assert (status.total, status.succeeded, status.uploading) == (150, 150, 0)
    assert seen["accepted"] == seen["received"] == 150


def write_catalog(path: Path, numbers):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row_id", "brand_id", "image_generation_type", "image_url"])
        for row, number in enumerate(numbers):
            writer.writerow([f"r{row}", "120344", "CUT_OUT", f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"])


def test_the_second_night_sends_only_what_changed(fleet_by_day, tmp_path):
    services, env, client, plain = fleet_by_day
    write_catalog(tmp_path / "catalog.csv", range(150))
    first, nights = scheduled(tmp_path, env, plain, "prices", "catalog.csv", minutes_ago=1)
    services.start("scheduler", env=env)
    wait_until(lambda: (one := nights.record(first.run)) and one.state == "done", 60, "the first night")
    write_catalog(tmp_path / "catalog.csv", [*range(1000, 1003), *range(3, 151)])
    command = [sys.executable, "-m", "couponpress", "schedule", "run", "prices"]
    ran = processes.run(command, env=os.environ | env, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
    (second,) = (one.run for one in client.runs() if one.run.startswith("prices-") and one.run != first.run)
    wait_until(lambda: nights.record(second).state == "done", 60, "the second night")
    summary = nights.record(second).told
    seen = statistics(env["COUPONPRESS_BASE_URL"])
    assert "151 rows, 4 changed, 1 s at " in ran.stdout
    assert summary.startswith("151 rows, 147 unchanged, 4 sent, 4 succeeded")
    assert seen["accepted"] == 154
    log = services._log_of("scheduler")
    wait_until(lambda: f"night {second} is over: {summary}" in log.read_text(), 30, "the second night in the log")
    assert f"night {first.run} is over: 150 rows, 0 unchanged, 150 sent, 150 succeeded" in log.read_text()
