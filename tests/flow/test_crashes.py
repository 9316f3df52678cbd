"""kill -9 of what is no worker: producer in mid-upload, scheduler, leader, callback receiver. Everything still ends."""

import os
import subprocess
import sys

import pytest
import redis

from couponpress import Client
from couponpress.keys import Keys
from couponpress_worker import sample_catalog
from couponpress_worker.demo import fleet, statistics
from tests.builders import MCHID, assert_consistent, producer_settings
from tests.flow.test_fleet import client_of, wait_until
from tests.flow.test_redis import bodies, finished, killed, process_of, wait_received

pytestmark = pytest.mark.flow


def test_a_producer_killed_in_mid_upload_leaves_a_run_that_says_so_and_the_same_command_completes_it(
    tmp_path, redis_url
):
    catalog = tmp_path / "catalog.csv"
    sample_catalog.write(catalog, rows=5000)
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    submit = [sys.executable, "-m", "couponpress", "submit", str(catalog)]
    producer = subprocess.Popen(submit, env=env, stderr=subprocess.DEVNULL)
    with Client(producer_settings(redis_url)) as client, redis.Redis.from_url(redis_url) as plain:
        try:
            wait_until(lambda: (runs := client.runs()) and runs[0].uploading > 500, 60, "an upload under way")
        finally:
            producer.kill()
            producer.wait()
        half = client.run("catalog")
        assert half.uploading > 500, "the upload ended before it was killed"
        assert (half.total, half.finished) == (0, False)
        assert_consistent(plain)
        told = subprocess.run(
            [sys.executable, "-m", "couponpress", "status"], env=env, check=True, capture_output=True, text=True
        )
        assert "uploading" in told.stdout
        # Exit code 1: the sample holds broken rows, which went to the error file.
        again = subprocess.run(submit, env=env, check=False, capture_output=True, text=True, timeout=120)
        assert again.returncode == 1, again.stderr
        assert f"{half.uploading} known before" in again.stderr
        whole = client.run("catalog")
        rows = [one.row_id for one in client.outcomes("catalog")]
        assert_consistent(plain)
    assert (whole.uploading, whole.total) == (0, len(rows))
    assert len(set(rows)) == len(rows) > half.uploading


def test_leader_scheduler_and_callback_receiver_may_be_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "4")
    monkeypatch.setenv("COUPONPRESS_QUERY_RATE", "200/second")
    # Some pictures are told by no callback, so that whoever leads has queries to make.
    faults = ["--query-limit", "200", "--fault", "lost_callbacks=2", "--fault", "errors=2", "--seed", "3"]
    with fleet(tmp_path, "--callback-interval", "1", *faults) as (services, env), client_of(env) as client:
        base_url, keys = env["COUPONPRESS_BASE_URL"], Keys(env["COUPONPRESS_MCHID"])
        with redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"]) as plain:

            def leads(process):
                return (plain.get(keys.leader) or b"").decode().partition(":")[2].startswith(f"{process.pid}:")

            client.pause()
            worker = process_of(services, "worker")
            wait_until(lambda: leads(worker), 30, "the worker's lead")
            scheduler = services.start("scheduler", env=env)
            callback_words = process_of(services, "callback").args[3:]
            client.enqueue_many(bodies(1000), run="flow")
            killed(services, "worker")
            wait_until(lambda: leads(scheduler), 15, "the scheduler's lead")
            worker = services.start("worker", env=env)
            client.resume()
            wait_received(base_url, 300)
            killed(services, "callback")
            killed(services, "scheduler")
            wait_until(lambda: leads(worker), 15, "the lead of the new worker")
            services.start(*callback_words, env=env)
            status = finished(client, "flow", 60)
            seen = statistics(base_url)
            outcomes = [one.task_id for one in client.outcomes("flow")]
            assert_consistent(plain, keys)
    assert (status.succeeded, len(set(outcomes))) == (1000, 1000)
    assert seen["accepted"] == 1000
    assert seen["callbacks"]["lost"] > 0
    assert seen["received"] - 1000 <= sum(seen["faults"].values())  # what a fault hit is sent again, and nothing else
