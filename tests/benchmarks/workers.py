"""Whether two worker processes on two cores send nearly twice as much as one, with no limit to hold them.

The least receiver answers (`receiver`). Redis and the receiver want cores of their own; where there are only two, they
take theirs from the workers. So a second figure tells what a second of the workers' CPU is worth.
"""

import os
import time

from tests.benchmarks import processes, receiver
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.receiver import RunningReceiver
from tests.benchmarks.stage import Stage, stage

GOAL = 1.8
#: More than a process sends in a second on any machine of today.
MOST_PER_SECOND = 2500


def measure(bench: Bench) -> list[Line]:
    """Measure one worker on one core, then two on two, in turns."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        bench.say("[bold red]workers are NOT measured: there is only one core[/]")
        return []
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with stage(bench, "workers", limit=0) as one, receiver.running(bench.directory / "sandbox") as far_end:
        others = Others()
        for turn in range(bench.windows):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                found[workers].append(_window(bench, one, far_end, cores, workers))
        beside = str(others)
    lacked = (
        "Redis and the receiver had cores of their own"
        if len(cores) >= 4
        else f"Redis and the receiver had NO cores of their own: there are {len(cores)} in all"
    )
    pairs = list(zip(found[1], found[2], strict=True))
    return [
        Line("workers", "one worker on one core", "/s", [rate for rate, _ in found[1]]),
        Line("workers", "two workers on two cores", "/s", [rate for rate, _ in found[2]]),
        Line(
            "workers",
            "two workers by one, submissions per second",
            "times",
            [two[0] / one[0] for one, two in pairs],
            GOAL,
            at_most=False,
            note=f"TLS, 50 ms latency, no limit; {lacked}; {beside}",
        ),
        Line(
            "workers",
            "twice what a second of the workers' CPU sends, two workers by one",
            "times",
            [2 * one[1] / two[1] for one, two in pairs],
            GOAL,
            at_most=False,
            note="what two would send more than one if nothing else wanted their cores",
        ),
    ]


def _window(bench: Bench, one: Stage, far_end: RunningReceiver, cores: list[int], workers: int) -> tuple[float, float]:
    """Return the submissions per second of so many workers, and the seconds of their CPU for each."""
    one.redis.flushall()
    one.enqueue(bench, round(workers * MOST_PER_SECOND * (bench.window_seconds + 3)))
    pinned = {cores[-1 - number] for number in range(workers)}
    processes.keep_on(set(cores) - pinned or set(cores), one.redis_process.pid, far_end.process.pid)
    before = far_end.statistics()["received"]
    for core in sorted(pinned):
        one.start_workers(core=core, **_unlimited(far_end))
    one.wait_until(lambda: far_end.statistics()["received"] > before, "the first request")
    time.sleep(2)
    began, sent, cpu = _look(one, far_end)
    time.sleep(bench.window_seconds)
    ended, sent_by_then, cpu_by_then = _look(one, far_end)
    one.stop_workers()
    count = sent_by_then - sent
    return count / (ended - began), (cpu_by_then - cpu) / count


def _unlimited(far_end: RunningReceiver) -> dict[str, str]:
    return {
        "COUPONPRESS_BASE_URL": far_end.base_url,
        "COUPONPRESS_RATE": "999999/second",
        "COUPONPRESS_LATENESS_MS": "200",
    }


def _look(one: Stage, far_end: RunningReceiver) -> tuple[float, int, float]:
    cpu = processes.cpu_seconds(process.pid for process in one.workers)
    return time.monotonic(), far_end.statistics()["received"], cpu
