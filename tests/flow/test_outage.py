"""The whole fleet through outages of the platform, judged by what arrived there and by what became of every spec."""

import time
from collections import Counter

import httpx
import pytest

from couponpress_worker.demo.fleet import fleet, statistics
from tests.flow.spans import SCALE, SPANS
from tests.flow.test_fleet import client_of, surely_in_any_second, wait_until

pytestmark = pytest.mark.flow

#: Low enough that a share of one core suffices. A demo fleet's lateness budget leaves ten elevenths of it.
LIMIT = 40
RATE = LIMIT / 1.1
#: Of each outage's run: two seconds of the rate before it, and six after.
SPECS = 300
WORKERS = 2
#: How long probes are counted, once every breaker is open: one a second and worker, with the real spans.
PROBED_SECONDS = 8 * SCALE
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
DOWN, UP = "the platform seems to be down", "the platform answers again"


def specs(count, first=0):
    task = {"brand_id": "1", "image_generation_type": "CUT_OUT"}
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    return ({**task, "row_id": str(n), "cut_out": picture} for n in range(first, count))


def control(base_url, **changes):
    httpx.post(f"{base_url}/sandbox/control", json=changes, timeout=10).raise_for_status()


def arrivals(base_url):
    return httpx.get(f"{base_url}/sandbox/arrivals", params={"tasks": "1"}, timeout=30).raise_for_status().json()


def in_seconds_from(offsets, start, tenths):
    """How many came in each whole second that begins in one of so many tenths of a second."""
    return [sum(begin <= at < begin + 1 for at in offsets) for begin in (start + tenth / 10 for tenth in range(tenths))]


def back_after(offsets, began, faulty, end):
    """So many seconds after the end of the outage a whole second was at nine tenths of the rate.

    The rate is what the fleet reached before it, where the machine does not give it enough for the whole of it.
    """
    rate = min(RATE, max(in_seconds_from(offsets, began, max(1, int((faulty - began - 1) * 10)))))
    for tenths, came in enumerate(in_seconds_from(offsets, end, 600)):
        if came >= 0.9 * rate:
            return tenths / 10
    raise AssertionError("the rate never came back")


def test_an_outage_costs_few_calls_and_no_spec_and_the_rate_comes_back(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_RATE", f"{LIMIT}/second")
    log = tmp_path / "worker.log"
    with fleet(tmp_path, "--limit", str(LIMIT), workers=WORKERS) as (services, env), client_of(env) as client:
        wait_until(lambda: log.read_text().count(" ready.") == WORKERS, 60, "the workers")
        base_url = env["COUPONPRESS_BASE_URL"]

        def received():
            return statistics(base_url)["received"]

        for number, (kind, faults) in enumerate(OUTAGES.items()):
            taken, told_down, told_up = number * SPECS, log.read_text().count(DOWN), log.read_text().count(UP)
            began = time.time()
            client.enqueue_many(specs(SPECS), run=kind)
            wait_until(lambda taken=taken: statistics(base_url)["accepted"] > taken + 2 * LIMIT, 60, "a fleet at work")
            faulty = time.time()
            control(base_url, faults=faults)
            wait_until(lambda seen=told_down: log.read_text().count(DOWN) >= seen + WORKERS, 40, "open breakers")
            time.sleep(1)
            settled = received()
            time.sleep(PROBED_SECONDS)
            probes = received() - settled
            assert client.outage() is not None
            control(base_url, faults=dict.fromkeys(faults, 0))
            lifted = time.time()
            status = wait_until(lambda run=kind: (s := client.run(run)).finished and s, 120, "the end of the run")
            services.check()
            wait_until(lambda: client.outage() is None, 15, "the end of what people are told")
            outcomes = list(client.outcomes(kind))
            seen = statistics(base_url)
            moments = [moment - seen["first_arrival"] for moment in (began, faulty, lifted)]
            back = back_after(arrivals(base_url)["offsets"], *moments)
            attempts = Counter(one.attempts for one in outcomes)
            figures = f"{probes} probes in {PROBED_SECONDS:.1f} s, back after {back:.1f} s, attempts {dict(attempts)}"
            print(f"{kind}: {figures}")  # noqa: T201 - the figures, with -s
            assert Counter(one.outcome for one in outcomes) == {"succeeded": SPECS}, status
            assert seen["accepted"] == taken + SPECS
            assert surely_in_any_second(base_url) <= LIMIT
            assert probes <= WORKERS * PROBED_SECONDS / SPANS.breaker_probe * 1.2
            assert max(attempts) <= 4
            assert back <= BACK_SECONDS
            told = log.read_text()
            assert told.count(DOWN) - told_down <= 2 * WORKERS
            # One that had nothing left to send learns with its next work that it is over.
            assert told_up < told.count(UP) <= told.count(DOWN)
    assert "Traceback" not in log.read_text()
