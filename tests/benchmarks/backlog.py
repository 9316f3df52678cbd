"""Whether a large backlog costs more than a small one: memory of producer and worker, CPU and rate of sending."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from tests.benchmarks import processes, steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import ROOT, RUN, stage

SMALL = 10_000
GOAL_MEMORY = 1.10
GOAL_COST = 1.05
GOAL_RATE = 0.95
WINDOWS = 3


@dataclass(frozen=True)
class _Seen:
    producer_mb: float
    worker_mb: float
    in_signatures: list[float]
    rates: list[float]
    seconds: float
    beside: str


def measure(bench: Bench) -> list[Line]:
    """Do the same with a backlog of 10,000 and with a large one, and compare."""
    small, large = _with(bench, SMALL), _with(bench, bench.backlog)

    beside = f"while the small one was sent {small.beside}; while the large one was, {large.beside}"

    def pair(name, unit, few, many, goal=None, note="", *, at_most=True):
        ratio = [b / a for a, b in zip(few, many, strict=True)]
        return [
            Line("backlog", f"{name}, {SMALL} queued", unit, few),
            Line("backlog", f"{name}, {bench.backlog} queued", unit, many),
            Line("backlog", f"{name}, large by small", "ratio", ratio, goal, at_most, note),
        ]

    return [
        *pair("producer's peak memory", "MB", [small.producer_mb], [large.producer_mb], GOAL_MEMORY),
        *pair(
            "worker's resident memory",
            "MB",
            [small.worker_mb],
            [large.worker_mb],
            GOAL_MEMORY,
            f"after {WINDOWS * 5 + 3} s of sending",
        ),
        *pair("CPU per submission", "RSA-2048 signatures", small.in_signatures, large.in_signatures, GOAL_COST, beside),
        *pair("rate", "/s", small.rates, large.rates, GOAL_RATE, at_most=False),
        Line("backlog", f"time to enqueue {bench.backlog}", "s", [large.seconds]),
    ]


def _with(bench: Bench, rows: int) -> _Seen:
    catalog = bench.catalog(rows)
    with stage(bench, f"backlog-{rows}") as one:
        words = [sys.executable, "-m", "tests.benchmarks.producer", str(catalog), RUN]
        done = subprocess.run(words, cwd=ROOT, env=os.environ | one.env, check=True, capture_output=True)
        told = json.loads(done.stdout)
        if told["new"] != rows:
            raise RuntimeError(f"{told['new']} of {rows} specs were stored")
        (worker,) = one.start_workers()
        one.wait_for_sending(3)
        others = Others()
        found = steady.windows(one, steady.signatures_of(one), count=WINDOWS, seconds=5)
        return _Seen(
            producer_mb=told["peak_mb"],
            worker_mb=processes.resident_mb(worker.pid),
            in_signatures=[w.in_signatures for w in found],
            rates=[w.rate for w in found],
            seconds=told["seconds"],
            beside=str(others),
        )
