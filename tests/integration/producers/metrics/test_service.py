"""The metrics service: scraped over HTTP, with Redis there and away."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from couponpress.client import Client
from couponpress.metrics.service import application
from couponpress.outcome import State
from couponpress_worker.runtime.redis_server import free_port
from tests.builders import MCHID, bring_to, producer_settings, stored
from tests.serving import served


@contextmanager
def scraped(url):
    """The service over a server."""
    with (
        Client(producer_settings(url)) as client,
        served(application(client)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        yield http


def samples(text):
    """Every sample by its name and labels, as they are written."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_a_scrape_tells_the_fleet(redis_url, server):
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    with scraped(redis_url) as http:
        answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    told = samples(answer.text)
    assert told["couponpress_redis_up"] == 1
    assert told['couponpress_specs{state="rejected"}'] == 1
    assert told['couponpress_processes{role="worker"}'] == 0


def test_acts_of_people_are_counted_and_denials_too(redis_url, server):
    with scraped(redis_url) as http, Client(producer_settings(redis_url)) as client:
        name = 'couponpress_operator_acts_total{act="%s"}'
        assert samples(http.get("/metrics").text)[name % "pause"] == 0
        client.pause(why="lunch")
        client.resume()
        client.pause(why="lunch is not over")
        told = samples(http.get("/metrics").text)
    assert [told[name % act] for act in ("pause", "resume", "cancel")] == [2, 1, 0]


def test_a_redis_that_is_away_is_told_and_nothing_else():
    with scraped(f"redis://:s3cret@127.0.0.1:{free_port()}/0") as http:
        answer = http.get("/metrics")
    assert (answer.status_code, samples(answer.text)) == (200, {"couponpress_redis_up": 0})
    assert "s3cret" not in answer.text


def test_other_paths_and_methods_are_refused(redis_url, server):
    with scraped(redis_url) as http:
        assert http.get("/").status_code == 404
        assert http.get("/metrics/x").status_code == 404
        assert http.post("/metrics").status_code == 405


def test_promtool_finds_nothing_wrong_with_the_names(redis_url, server):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NO PROMTOOL: the names of the metrics are not checked; install Debian's package `prometheus`")
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    with scraped(redis_url) as http:
        text = http.get("/metrics").text
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_serves_until_it_is_told_to_stop(redis_url, server, tmp_path):
    port, log = free_port(), tmp_path / "log"
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    with log.open("wb") as output:
        words = [sys.executable, "-m", "couponpress", "metrics", "--port", str(port)]
        process = subprocess.Popen(words, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while "metrics on http://127.0.0.1" not in log.read_text() and time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        assert "couponpress_redis_up 1.0\n" in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    finally:
        process.terminate()
        assert process.wait(30) == 0
