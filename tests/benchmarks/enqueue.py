"""How fast a catalog becomes stored specs: read, checked, written down, stored; one process, one connection."""

import time

from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.machine import SIGNATURE_THERE_MS, Signatures, reference_loops_per_second
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import stage

GOAL_PER_SECOND = 50_000.0


def measure(bench: Bench) -> list[Line]:
    """Enqueue the same catalog into new runs, with the two fixed pieces of work timed around each."""
    rows = 20_000 if bench.quick else 50_000
    bench.catalog(rows)
    wall, cpu, per_signature, cpu_per_signature, per_loop = [], [], [], [], []
    with stage(bench, "enqueue", tls=False) as one:
        one.enqueue(bench, 1000, "warm")
        others = Others()
        for number in range(bench.windows):
            signatures = Signatures()
            signatures.burst()
            loops = reference_loops_per_second()
            began, cpu_began = time.perf_counter(), time.process_time()
            one.enqueue(bench, rows, f"run-{number}")
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
            signatures.burst()
            wall.append(rows / seconds)
            cpu.append(rows / cpu_seconds)
            signature_seconds = signatures.take()
            per_signature.append(rows / seconds * signature_seconds)
            cpu_per_signature.append(rows / cpu_seconds * signature_seconds)
            per_loop.append(rows / seconds / loops)
        beside = str(others)
    there = GOAL_PER_SECOND * SIGNATURE_THERE_MS / 1000
    return [
        Line(
            "enqueue",
            "from CSV to stored, checked",
            "specs/s",
            wall,
            GOAL_PER_SECOND,
            at_most=False,
            note=f"{rows} rows by the clock, hints and release included, Redis beside it; {beside}",
        ),
        Line(
            "enqueue",
            "the same per time of one signature",
            "specs",
            per_signature,
            round(there, 2),
            at_most=False,
            note="the goal in the same measure: 50,000/s where a signature takes 0.33 ms",
        ),
        Line(
            "enqueue",
            "the same per reference loop",
            "specs",
            per_loop,
            note="the loop writes one small object as JSON and hashes it",
        ),
        Line("enqueue", "per second of the producer's CPU", "specs/s", cpu, note="without what it waits for Redis"),
        Line("enqueue", "per signature's worth of the producer's CPU", "specs", cpu_per_signature),
    ]
