"""The whole fleet while callbacks are lost, doubled, late and out of order: every spec gets its right outcome."""

import time
from bisect import bisect_right

import httpx
import pytest

from couponpress_worker.demo.fleet import fleet, statistics
from couponpress_worker.sandbox.faults import Dice
from tests.flow.test_fleet import client_of, wait_until

pytestmark = pytest.mark.flow

SPECS, SEED, FAIL_PERCENT, QUERY_LIMIT = 600, 11, 5, 20
FAULTS = {
    "fail": FAIL_PERCENT,
    "lost_callbacks": 20,
    "doubled_callbacks": 5,
    "late_callbacks": 5,
    "late_seconds": 4,
    "early_callbacks": 5,
    "stale_callbacks": 5,
    "probe_callbacks": 1,
}


def specs(count, brand):
    for number in range(count):
        picture = {"image_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"}
        task = {"brand_id": brand, "image_generation_type": "CUT_OUT", "row_id": f"{brand}-{number}"}
        yield {**task, "task_id": f"task-{brand}-{number:05}", "cut_out": picture}


def most_in_any_second(offsets):
    return max(bisect_right(offsets, at) - bisect_right(offsets, at - 1) for at in offsets)


def test_every_spec_gets_its_right_outcome_and_the_query_limit_is_kept(
    tmp_path, monkeypatch, record_testsuite_property
):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")
    monkeypatch.setenv("COUPONPRESS_EXPIRE_AFTER", "600")
    options = ["--seed", str(SEED), "--callback-interval", "1", "--latency-ms", "50"]
    options += [word for name, value in FAULTS.items() for word in ("--fault", f"{name}={value}")]
    with fleet(tmp_path, *options) as (_, env), client_of(env) as client:
        base_url = env["COUPONPRESS_BASE_URL"]
        httpx.post(f"{base_url}/sandbox/control", json={"query_limit": QUERY_LIMIT}).raise_for_status()
        began = time.monotonic()
        client.enqueue_many(specs(SPECS, "long"), run="long")
        client.enqueue_many(specs(SPECS // 20, "short"), run="short")
        short = wait_until(lambda: client.run("short").finished and time.monotonic(), 120, "the short run's end")
        long = wait_until(lambda: client.run("long").finished and time.monotonic(), 120, "the long run's end")
        outcomes = [*client.outcomes("long"), *client.outcomes("short")]
        wait_until(lambda: statistics(base_url)["callbacks"]["waiting"] == 0, 60, "the last of the callbacks")
        after = [*client.outcomes("long"), *client.outcomes("short")]
        seen = statistics(base_url)
        queries = httpx.get(f"{base_url}/sandbox/arrivals", params={"kind": "query", "tasks": "1"}).json()
    dice = Dice(SEED)
    for one in outcomes:
        wanted = "failed" if dice.hits(FAIL_PERCENT, "fail", one.task_id) else "succeeded"
        assert (one.task_id, one.outcome) == (one.task_id, wanted)
        assert bool(one.image_url) == (wanted == "succeeded")
        assert one.task_id in one.image_url or wanted == "failed"
    assert len(outcomes) == SPECS + SPECS // 20
    assert after == outcomes  # what came afterwards changed nothing
    callbacks = seen["callbacks"]
    assert min(callbacks[name] for name in ("lost", "doubled", "late", "early", "stale", "probes")) > 0
    assert callbacks["probes_believed"] == 0
    # The limit, judged from the moments that the platform recorded.
    assert most_in_any_second(queries["offsets"]) <= QUERY_LIMIT
    assert seen["calls"]["query"]["throttled"] == 0
    lost = {one.task_id for one in outcomes if dice.hits(FAULTS["lost_callbacks"], "lost", one.task_id)}
    assert lost <= set(queries["task_ids"])
    record_testsuite_property("specs", len(outcomes))
    record_testsuite_property("specs asked about", len(set(queries["task_ids"])))
    record_testsuite_property("queries", len(queries["offsets"]))
    record_testsuite_property("most queries in any second", most_in_any_second(queries["offsets"]))
    record_testsuite_property(
        "seconds of the short and the long run", (round(short - began, 1), round(long - began, 1))
    )
    assert short < long
