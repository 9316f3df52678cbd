"""Whether a submission costs more while a million specs wait than while ten thousand do, in alternating pairs.

Two fleets, each with a Redis, a sandbox and a worker of its own, take turns: one is paused while the other sends;
small, large, large, small, and so on. Both workers are held to one core, and signatures are timed on it within the same
seconds. So whatever else the machine does meets both alike, and the figure is the ratio within a pair.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from statistics import quantiles

from tests.benchmarks import processes, steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import RUN, Stage, stage

SMALL = 10_000
PAIRS, QUICK_PAIRS = 10, 4
#: More rows than the small fleet sends.
MOST = 100_000
GOAL = 1.05
#: Until a worker that goes on sends at its rate.
SETTLE_SECONDS = 1.5
#: So many signatures are timed so often: few, so that the worker, which has the same core, is not late.
SIGNATURES, SIGN_EVERY_SECONDS = 5, 0.25
#: When nothing arrives for so long, a paused worker has nothing in flight.
STILL_SECONDS = 0.3


@dataclass(frozen=True)
class _Window:
    """What one accepted submission took in one window, in seconds of CPU, and one signature on the worker's core."""

    rate: float
    worker: float
    redis: float
    commands: float
    signature: float


def measure(bench: Bench) -> list[Line]:
    """Measure the pairs; the small fleet is first in every other one."""
    found: dict[str, list[_Window]] = {"small": [], "large": []}
    with stage(bench, "flat-small") as small, stage(bench, "flat-large") as large:
        few, many = _Backlog(bench, small, MOST, SMALL), _Backlog(bench, large, bench.backlog, bench.backlog)
        began = time.monotonic()
        many.fill()
        seconds = time.monotonic() - began
        few.fill()
        core = max(os.sched_getaffinity(0))
        for one in (small, large):
            _pause(one)
            one.start_workers(core=core)
        others = Others()
        for pair in range(QUICK_PAIRS if bench.quick else PAIRS):
            turns = (("small", small), ("large", large))
            for name, one in turns if pair % 2 == 0 else reversed(turns):
                found[name].append(_window(bench, one, core))
                if one is small:
                    few.fill()
        beside = str(others)
    pairs = list(zip(found["small"], found["large"], strict=True))

    def line(name: str, value: Callable[[_Window, _Window], float], goal: float | None = None) -> Line:
        ratios = [value(few, many) for few, many in pairs]
        lower, _, upper = quantiles(ratios, n=4)
        note = f"quartiles {lower:.3f} and {upper:.3f} of {len(pairs)} pairs"
        return Line("flat", name, "ratio", ratios, goal, note=note if goal is None else f"{note}; {beside}")

    def cost(name: str) -> Line:
        waiting = SMALL if name == "small" else bench.backlog
        costs = [one.worker / one.signature for one in found[name]]
        return Line("flat", f"CPU of the worker per submission, {waiting} queued", "signatures", costs)

    return [
        cost("small"),
        cost("large"),
        line(
            "the large by the small, in pairs",
            lambda few, many: many.worker / many.signature / (few.worker / few.signature),
            GOAL,
        ),
        line("the same in seconds", lambda few, many: many.worker / few.worker),
        line("a signature on the worker's core meanwhile", lambda few, many: many.signature / few.signature),
        line("CPU of Redis per submission, the large by the small", lambda few, many: many.redis / few.redis),
        Line("flat", "CPU of Redis per submission", "ms", [one.redis * 1000 for one in found["small"]]),
        line(
            "Redis commands per submission, those inside scripts too, the large by the small",
            lambda few, many: many.commands / few.commands,
        ),
        line("rate, the large by the small", lambda few, many: many.rate / few.rate),
        Line("flat", f"time to enqueue {bench.backlog}", "s", [seconds]),
    ]


class _Backlog:
    """The rows of one fleet, all of one run: a new run would begin with a few requests.

    Args:
        rows: how many there are in all.
        waiting: how many are to wait.
    """

    def __init__(self, bench: Bench, one: Stage, rows: int, waiting: int) -> None:
        self._one, self._waiting = one, waiting
        self._specs = iter(bench.specs(rows))

    def fill(self) -> None:
        """Enqueue until so many wait again; nothing is sent meanwhile."""
        with self._one.client() as client:
            missing = self._waiting - sum(run.waiting for run in client.runs())
            client.enqueue_many(islice(self._specs, missing), run=RUN)


def _window(bench: Bench, one: Stage, core: int) -> _Window:
    """Let a fleet send, measure one window, and pause it; the bench has the worker's core meanwhile."""
    signatures = steady.signatures_of(one)
    with _sending(one), _on(core):
        before = _look(one)
        until = time.monotonic() + bench.window_seconds
        while time.monotonic() < until:
            time.sleep(SIGN_EVERY_SECONDS)
            signatures.burst(SIGNATURES)
        seconds, came, worker, redis, commands = (now - then for now, then in zip(_look(one), before, strict=True))
    if not came:
        raise RuntimeError("nothing was accepted within a window; the workers' logs say why")
    return _Window(came / seconds, worker / came, redis / came, commands / came, signatures.take())


@contextmanager
def _sending(one: Stage) -> Iterator[None]:
    """Let a paused fleet send at its rate for the length of a block."""
    before = one.sandbox.statistics()["received"]
    with one.client() as client:
        client.resume()
    one.wait_until(lambda: one.sandbox.statistics()["received"] > before, "the first request")
    time.sleep(SETTLE_SECONDS)
    yield
    _pause(one)
    came = -1
    while (now := one.sandbox.statistics()["received"]) != came:
        came = now
        time.sleep(STILL_SECONDS)


def _pause(one: Stage) -> None:
    with one.client() as client:
        client.pause()


@contextmanager
def _on(core: int) -> Iterator[None]:
    """Keep this thread on a core for the length of a block."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _look(one: Stage) -> list[float]:
    """Return the time, what was accepted, the CPU of the worker and of Redis, and what Redis was asked."""
    (worker,) = one.workers
    cpu = [processes.exact_cpu_seconds_of(pid) for pid in (worker.pid, one.redis_process.pid)]
    asked = one.redis.info("stats")["total_commands_processed"]
    return [time.monotonic(), one.sandbox.statistics()["accepted"], *cpu, asked]
