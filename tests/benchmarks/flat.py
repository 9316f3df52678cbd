"""Whether a submission costs more while a million specs wait than while ten thousand do, in alternating pairs.

Two fleets, each with a Redis and a sandbox of its own, take turns: a worker is started for one and, when it was
measured, stopped before the other's is started. So whatever else the machine does meets both alike, and the figure is
the ratio within each pair.
"""

import time
from itertools import count

from tests.benchmarks import steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import Stage, stage

SMALL = 10_000
PAIRS = 5
GOAL = 1.05
#: Until a worker that has begun to send sends at its rate.
SETTLE_SECONDS = 3.0


def measure(bench: Bench) -> list[Line]:
    """Measure five pairs; the first of a pair is the small fleet, then the large one, and so on in turns."""
    few, many = [], []
    with stage(bench, "flat-small") as small, stage(bench, "flat-large") as large:
        began = time.monotonic()
        _fill(bench, large, bench.backlog)
        seconds = time.monotonic() - began
        _fill(bench, small, SMALL)
        others = Others()
        for pair in range(PAIRS):
            for one, found in ((small, few), (large, many))[:: 1 if pair % 2 == 0 else -1]:
                found.append(_window(bench, one))
                if one is small:
                    _fill(bench, small, SMALL)
        beside = str(others)
    return [
        Line(
            "flat",
            f"CPU of the worker per submission, {SMALL} queued",
            "signatures",
            [one.in_signatures for one in few],
        ),
        Line(
            "flat",
            f"CPU of the worker per submission, {bench.backlog} queued",
            "signatures",
            [one.in_signatures for one in many],
        ),
        Line(
            "flat",
            "the large by the small, in pairs",
            "ratio",
            [after.in_signatures / before.in_signatures for before, after in zip(few, many, strict=True)],
            GOAL,
            note=f"each with a Redis and a sandbox of its own, and a worker of its own for each window; {beside}",
        ),
        Line(
            "flat",
            "CPU of Redis per submission, the large by the small",
            "ratio",
            [after.redis_cpu / before.redis_cpu for before, after in zip(few, many, strict=True)],
        ),
        Line(
            "flat", "rate, the large by the small", "ratio", [b.rate / a.rate for a, b in zip(few, many, strict=True)]
        ),
        Line("flat", f"time to enqueue {bench.backlog}", "s", [seconds]),
    ]


_runs = count()


def _fill(bench: Bench, one: Stage, waiting: int) -> None:
    """Enqueue until so many specs wait; no worker runs."""
    with one.client() as client:
        missing = waiting - sum(run.waiting for run in client.runs())
        if missing > 0:
            client.enqueue_many(bench.specs(missing), run=f"flat-{next(_runs)}")


def _window(bench: Bench, one: Stage) -> steady.Window:
    """Let a new worker send, measure one window, and stop it."""
    before = one.sandbox.statistics()["received"]
    one.start_workers()
    one.wait_until(lambda: one.sandbox.statistics()["received"] > before, "the first request")
    time.sleep(SETTLE_SECONDS)
    (found,) = steady.windows(one, steady.signatures_of(one), count=1, seconds=bench.window_seconds)
    one.stop_workers()
    return found
