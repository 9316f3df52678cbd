"""The whole fleet against a platform that allows less than was configured: it is found, shown, and costs no try."""

import json
import os
import sys
import time
from bisect import bisect_left

import httpx
import pytest

from couponpress_worker.demo.fleet import fleet, statistics
from tests import processes
from tests.flow.test_fleet import client_of, wait_until

pytestmark = pytest.mark.flow

LIMIT = 10
#: Those of a quarter of a minute at that limit, and more.
SPECS = 400


def limit(env, *words):
    command = [sys.executable, "-m", "couponpress", "limit", *words, "--json"]
    done = processes.run(command, env=os.environ | env, check=True, capture_output=True, timeout=60)
    return json.loads(done.stdout)


def most_within_3_s(base_url, since_us):
    """How many submits the platform took in the best three seconds since then.

    A machine that stands still for a moment makes a fleet give slots up; three seconds without that show what it uses.
    """
    calls = httpx.get(f"{base_url}/sandbox/calls", timeout=30).json()
    arrived = zip(calls["moments_us"], calls["statuses"], strict=True)
    taken = [moment for moment, status in arrived if status == 200 and moment >= since_us]
    return max((bisect_left(taken, moment + 3_000_000) - at for at, moment in enumerate(taken)), default=0)


def test_a_limit_far_below_the_configured_one_is_found_and_costs_no_try(tmp_path):
    task = {"brand_id": "1", "image_generation_type": "CUT_OUT"}
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    with fleet(tmp_path, "--limit", str(LIMIT), workers=2) as (_, env), client_of(env) as client:
        wait_until(lambda: client.rate().configured == "500/second", 30, "a worker that says its rate")
        client.enqueue_many(({**task, "row_id": str(n), "cut_out": picture} for n in range(SPECS)), run="flow")
        base_url = env["COUPONPRESS_BASE_URL"]
        wait_until(lambda: statistics(base_url)["throttled"], 30, "the first 429")
        time.sleep(2)  # what the goal leaves for finding the limit
        before, since = statistics(base_url), time.monotonic()
        assert limit(env)["why"] == "throttled"
        # A demo fleet's lateness budget leaves 91 %.
        wait_until(lambda: most_within_3_s(base_url, since * 1e6) >= 0.8 * LIMIT * 3, 40, "a rate near the limit")
        time.sleep(max(0.0, since + 10 - time.monotonic()))
        after, seconds = statistics(base_url), time.monotonic() - since
        assert limit(env)["found"] == pytest.approx(LIMIT, abs=1)
        # Lifted by hand, without a restart.
        httpx.post(f"{base_url}/sandbox/control", json={"limit": 0}).raise_for_status()
        assert limit(env, "400/second")["in_force"] == "400/second"
        status = wait_until(lambda: (s := client.run("flow")).finished and s, 60, "the end of the run")
        attempts = {one.attempts for one in client.outcomes("flow")}
        throttled = statistics(base_url)["throttled"]
    assert after["throttled"] - before["throttled"] <= 0.3 * seconds  # one is the price of trying a little more
    assert after["accepted"] - before["accepted"] <= 1.1 * LIMIT * seconds
    assert (status.succeeded, status.throttled, max(attempts)) == (SPECS, throttled, 1)
