"""How fast one worker process on one core is when no limit holds it, beside the ceiling of what answers it."""

import os

from tests.benchmarks import steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.ceiling import sandbox_ceiling
from tests.benchmarks.machine import SIGNATURE_THERE_MS
from tests.benchmarks.processes import Others, keep_on
from tests.benchmarks.stage import stage

GOAL_PER_SECOND = 900.0


def measure(bench: Bench) -> list[Line]:
    """Pin a worker to one core; the sandbox, Redis and the bench share the others."""
    cores = sorted(os.sched_getaffinity(0))
    others = set(cores[1:]) or set(cores)
    with stage(bench, "unthrottled", limit=0) as one:
        ceiling = sandbox_ceiling(bench, one)
        keep_on(others, one.sandbox.process.pid, one.redis_process.pid)
        # With a rate beyond reach slots lie so close that only the budget of lateness decides which are given up.
        one.start_workers(core=cores[0], COUPONPRESS_RATE="999999/second", COUPONPRESS_LATENESS_MS="200")
        signatures = steady.signatures_of(one)
        os.sched_setaffinity(0, others)
        try:
            # The machine's speed decides how many are needed; sending stops with the stage.
            one.enqueue(bench, 25_000 if bench.quick else 40_000)
            one.wait_for_sending(2)
            others_beside = Others()
            found = steady.windows(one, signatures, count=bench.windows, seconds=bench.window_seconds - 1)
        finally:
            os.sched_setaffinity(0, cores)
        counted, beside = one.sandbox.statistics(), str(others_beside)

    by_signature = [w.rate * w.signature_cpu for w in found]
    return [
        Line(
            "unthrottled",
            "submissions per second of one worker on one core",
            "/s",
            [w.rate for w in found],
            GOAL_PER_SECOND,
            at_most=False,
            note=f"TLS, 50 ms latency, no limit; sandbox late by {counted['lag_ms']} ms at worst; {beside}",
        ),
        Line(
            "unthrottled",
            "the same per time of one signature",
            "submissions",
            by_signature,
            round(GOAL_PER_SECOND * SIGNATURE_THERE_MS / 1000, 3),
            at_most=False,
            note="the goal in the same measure: 900/s where a signature takes 0.33 ms",
        ),
        Line(
            "unthrottled", "CPU of that worker per submission", "RSA-2048 signatures", [w.in_signatures for w in found]
        ),
        Line(
            "unthrottled",
            "the sandbox's own ceiling",
            "/s",
            [ceiling],
            note="prepared requests over 32 kept TLS connections, no latency, on all cores with their sender",
        ),
        Line("unthrottled", "the sandbox's CPU per submission", "ms", [w.sandbox_cpu * 1000 for w in found]),
    ]
