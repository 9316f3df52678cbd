"""The whole fleet against the sandbox, every part a process of its own: Redis, sandbox, callback receiver, workers."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
import redis

from couponpress import Client, ProducerSettings
from couponpress.keys import Keys
from couponpress.ledger.chunks import CHUNK_SIZE
from couponpress.overview.snapshot import Counts
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress_worker.demo.fleet import fleet, sample_catalog, statistics
from couponpress_worker.sandbox.credentials import MCHID
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from tests import processes
from tests.chaos import audit

pytestmark = pytest.mark.flow

#: What a killed worker may have had on the wire or not yet recorded: its chunks in hand, whole.
IN_FLIGHT_AT_MOST = CHUNKS_IN_HAND * CHUNK_SIZE


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)
    return value


def settings_of(env):
    return ProducerSettings.load({"redis_url": env["COUPONPRESS_REDIS_URL"], "mchid": env["COUPONPRESS_MCHID"]})


def client_of(env):
    return Client(settings_of(env))


def processes_of(directory: Path) -> list[int]:
    """Every process whose command line or environment speaks of the directory, other than this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:  # ended meanwhile, or not ours
                continue
            if str(directory).encode() in told:
                found.append(int(entry.name))
    return found


def surely_in_any_second(base_url):
    """The most calls in any second, without bunches that the platform's own loop made by being late."""
    return audit.surely_in_any_second(httpx.get(f"{base_url}/sandbox/calls").json())


def test_a_catalog_goes_in_and_picture_urls_come_out_although_a_worker_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")  # a lost callback is queried after 3 s
    monkeypatch.setenv("COUPONPRESS_CELERY_RESULTS", "true")
    keys = Keys(MCHID)
    faults = ["errors=2", "resets_after=1", "lost_callbacks=1", "doubled_callbacks=3", "probe_callbacks=1"]
    options = ["--strict", "--seed", "7", "--callback-interval", "1"]
    options += [word for fault in faults for word in ("--fault", fault)]
    with fleet(tmp_path, *options, workers=2) as (services, env):
        *_, (_, second) = services._started
        services.let_go(second)  # it is going to be killed
        catalog = tmp_path / "catalog.csv"
        sample_catalog.write(catalog, rows=1500)
        upload = CatalogUpload([str(catalog)])
        with client_of(env) as client:
            receipt = client.enqueue_many(upload.specs(), run="flow")
            assert receipt.new == upload.good == 1500 - upload.broken
            wait_until(lambda: client.run("flow").succeeded > 500, 60, "the first 500 pictures")
            second.kill()
            second.wait()
            status = wait_until(lambda: (s := client.run("flow")).finished and s, 120, "the end of the run")
            outcomes = list(client.outcomes("flow"))
            overview = client.overview()
            timed = sum(
                sum(one.counts) for one in client.request_durations() if one.operation == "submit" and one.status
            )
        seen = statistics(env["COUPONPRESS_BASE_URL"])
        surely = surely_in_any_second(env["COUPONPRESS_BASE_URL"])
        picture = httpx.get(outcomes[0].image_url)
        status_as_json_has_the_promised_names(tmp_path, env)
        with redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"]) as plain:
            kept = [json.loads(plain.get(key)) for key in plain.scan_iter(f"{keys.task_results}*")]

    assert Counter(one.outcome for one in outcomes) == {"succeeded": upload.good}, status
    assert len({one.task_id for one in outcomes}) == upload.good
    assert len({one.image_url for one in outcomes}) == upload.good
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    # The promise, judged from the moments that the platform recorded.
    assert surely <= 500
    assert seen["throttled"] == 0 or seen["most_in_any_second"] > surely
    assert seen["accepted"] == upload.good
    # The overview was kept by the scripts that moved the specs, through the crash as well.
    assert overview.lane("bulk").counts == Counts(succeeded=upload.good)
    assert [(one.outcome, one.count) for one in overview.totals.endings] == [("succeeded", upload.good)]
    assert overview.lane("bulk").oldest_waiting_since is None
    assert overview.bound.case == "no specs"
    assert 0 < overview.sending.most <= 500
    assert 500 < timed <= seen["received"]
    # Things did go wrong, and the query found what no callback told.
    assert {"errors", "resets_after"} <= seen["faults"].keys()
    assert seen["callbacks"]["lost"] > 0
    assert seen["calls"]["query"]["received"] >= seen["callbacks"]["lost"]
    assert seen["callbacks"]["probes"] > 0
    assert seen["callbacks"]["probes_believed"] == 0
    # Celery's own results are there for whoever looks at them.
    assert {one["status"] for one in kept} == {"SUCCESS"}
    assert 500 < sum(one["result"]["sent"] for one in kept) <= seen["received"]
    # Only what was in flight at the kill, or hit by a fault, was sent again.
    assert seen["received"] - upload.good <= sum(seen["faults"].values()) + IN_FLIGHT_AT_MOST


def status_as_json_has_the_promised_names(directory, env):
    """An urgent spec of its own; to be called while a fleet works."""
    spec = {"brand_id": "1", "image_generation_type": "CUT_OUT", "row_id": "7"}
    spec["cut_out"] = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    catalog = directory / "one.jsonl"
    catalog.write_text(json.dumps(spec) + "\n")
    submit = [sys.executable, "-m", "couponpress", "submit", str(catalog), "--lane", "urgent", "--watch"]
    assert processes.run(submit, env=os.environ | env, check=False, timeout=60).returncode == 0
    told = processes.run(
        [sys.executable, "-m", "couponpress", "status", "one", "--json"],
        env=os.environ | env,
        check=True,
        capture_output=True,
    )
    status = json.loads(told.stdout)
    counts = ["waiting", "retrying", "accepted", "failed", "rejected", "expired", "cancelled"]
    assert {name: status[name] for name in counts} == dict.fromkeys(counts, 0)
    assert (status["run"], status["total"], status["succeeded"], status["finished"]) == ("one", 1, 1, True)


def test_the_demo_ends_by_itself_and_leaves_its_files(tmp_path):
    directory = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "couponpress", "demo", "--rows", "400", "--dir", str(directory)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    with (directory / "results.csv").open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 400
    outcomes = Counter(line["outcome"] for line in lines)
    assert outcomes["succeeded"] == 400 - outcomes["rejected"]
    assert all(line["image_url"].startswith("http") for line in lines if line["outcome"] == "succeeded")
    assert all("line " in line["message"] for line in lines if line["outcome"] == "rejected")
    broken = (directory / "catalog.errors.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(broken) == 1 + outcomes["rejected"]
    assert (directory / "rate.png").read_bytes().startswith(b"\x89PNG")
    assert processes_of(directory) == []


def test_ctrl_c_stops_the_demo_and_everything_it_started(tmp_path):
    directory = tmp_path / "demo"
    demo = subprocess.Popen(
        [sys.executable, "-m", "couponpress", "demo", "--rows", "2000", "--dir", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert demo.stdout is not None
    try:
        for line in demo.stdout:
            if "specs enqueued" in line:
                break
        assert len(processes_of(directory)) >= 4
        demo.send_signal(signal.SIGINT)
        told, _ = demo.communicate(timeout=180)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 130
    assert "Traceback" not in told
    assert processes_of(directory) == []
