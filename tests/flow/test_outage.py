"""The whole fleet through outages of the platform, judged by what arrived there and by what became of every spec."""

import time
from collections import Counter

import httpx
import pytest

from couponpress_worker.demo import fleet, statistics
from tests.flow.test_fleet import client_of, wait_until

pytestmark = pytest.mark.flow

#: Low enough that the cores are no bound. A demo fleet's lateness budget leaves ten elevenths of it.
LIMIT, RATE = 100, 90.9
OUTAGE_SECONDS = 40
SPECS = 3500
WORKERS = 2
#: The promise.
BACK_SECONDS = 15

OUTAGES = {
    "trouble of every kind": {
        "errors": 30,
        "html": 20,
        "resets_before": 20,
        "resets_after": 10,
        "unsigned_answers": 10,
        "probe_answers": 10,
    },
    "silence": {"silence": 100},
}


def specs(count):
    task = {"brand_id": "1", "image_generation_type": "CUT_OUT"}
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    return ({**task, "row_id": str(n), "cut_out": picture} for n in range(count))


def control(base_url, **changes):
    httpx.post(f"{base_url}/sandbox/control", json=changes, timeout=10).raise_for_status()


def arrivals(base_url):
    return httpx.get(f"{base_url}/sandbox/arrivals", params={"tasks": "1"}, timeout=30).raise_for_status().json()


def back_after(offsets, end):
    """So many seconds after the end of the outage a whole second was at nine tenths of the rate."""
    for tenths in range(600):
        start = end + tenths / 10
        if sum(start <= at < start + 1 for at in offsets) >= 0.9 * RATE:
            return tenths / 10
    raise AssertionError("the rate never came back")


@pytest.mark.parametrize("faults", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_costs_few_calls_and_no_spec_and_the_rate_comes_back(tmp_path, monkeypatch, faults):
    monkeypatch.setenv("COUPONPRESS_RATE", f"{LIMIT}/second")
    with fleet(tmp_path, "--limit", str(LIMIT)) as (services, env), client_of(env) as client:
        for _ in range(WORKERS - 1):
            services.start("worker", env=env)
        base_url = env["COUPONPRESS_BASE_URL"]
        client.enqueue_many(specs(SPECS), run="flow")
        wait_until(lambda: statistics(base_url)["accepted"] > 5 * LIMIT, 60, "a fleet at its rate")
        control(base_url, faults=faults)
        time.sleep(OUTAGE_SECONDS - 20)
        settled = statistics(base_url)["received"]
        time.sleep(20)
        before_end = statistics(base_url)
        assert client.outage() is not None
        control(base_url, faults=dict.fromkeys(faults, 0))
        lifted = time.time()
        status = wait_until(lambda: (s := client.run("flow")).finished and s, 120, "the end of the run")
        services.check()
        assert client.outage() is None
        outcomes = list(client.outcomes("flow"))
        seen, told = statistics(base_url), arrivals(base_url)
    back = back_after(told["offsets"], lifted - seen["first_arrival"])
    probes = before_end["received"] - settled
    attempts = Counter(one.attempts for one in outcomes)
    print(f"probes in the last 20 s: {probes}; back after {back:.1f} s; attempts: {sorted(attempts.items())}")  # noqa: T201 - the figures, with -s
    assert Counter(one.outcome for one in outcomes) == {"succeeded": SPECS}, status
    assert seen["accepted"] == SPECS
    assert seen["most_in_any_second"] <= LIMIT
    assert probes <= WORKERS * 20 * 1.2
    assert max(attempts) <= 4
    assert back <= BACK_SECONDS
    log = (tmp_path / "worker.log").read_text()
    assert WORKERS <= log.count("the platform seems to be down") <= 2 * WORKERS
    assert log.count("the platform answers again") == log.count("the platform seems to be down")
    assert "Traceback" not in log
