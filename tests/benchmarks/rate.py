"""The promise at the receiver: how much of the limit is used while work waits, and that no window holds more.

Each scenario runs for a fixed time with more work than it can send. The first two seconds do not count.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks import clocks
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import Stage, stage

LIMIT = 500
GOAL_SHARE = 0.97
WARM_SECONDS = 2
STALL_SECONDS = 2.0
SCENARIO_SECONDS = 12.0


def _steadily(one: Stage, seconds: float) -> None:
    time.sleep(seconds)


def _join_and_leave(one: Stage, seconds: float) -> None:
    """A third worker joins, then one of the first two leaves, then the third."""
    first = one.workers[0]
    (third,) = one.start_workers()
    time.sleep(seconds / 3)
    one.stop_workers([first])
    time.sleep(seconds / 3)
    one.stop_workers([third])
    time.sleep(seconds / 3)


def _stall(one: Stage, seconds: float) -> None:
    time.sleep(seconds / 3)
    one.workers[0].send_signal(signal.SIGSTOP)
    time.sleep(STALL_SECONDS)
    one.workers[0].send_signal(signal.SIGCONT)
    time.sleep(seconds * 2 / 3 - STALL_SECONDS)


def _flush_limiter(one: Stage, seconds: float) -> None:
    time.sleep(seconds / 2)
    one.redis.delete(one.keys.bucket("submit"))
    time.sleep(seconds / 2)


def _restart_redis(one: Stage, seconds: float) -> None:
    time.sleep(seconds / 2)
    one.restart_redis()
    time.sleep(seconds / 2)


@dataclass(frozen=True)
class Scenario:
    """What happens while work waits.

    Attributes:
        name: for the table.
        workers: processes at the beginning.
        act: what is done meanwhile; takes about so many seconds as it is given.
        tls: whether the sandbox speaks TLS.
        faults: of the sandbox, in percent of the requests.
        goal: whether the share of the limit is promised here.
        env: settings of the workers that differ.
        ahead_seconds: how far each worker's wall clock is ahead; none: all are right.
    """

    name: str
    workers: int
    act: Callable[[Stage, float], None] = _steadily
    tls: bool = False
    faults: dict[str, float] = field(default_factory=dict)
    goal: bool = False
    env: dict[str, str] = field(default_factory=dict)
    ahead_seconds: tuple[float, ...] = ()


SCENARIOS = (
    Scenario("1 worker", 1, tls=True, goal=True),
    Scenario("1 worker, lateness budget of 100 ms", 1, tls=True, env={"COUPONPRESS_LATENESS_MS": "100"}),
    Scenario("2 workers", 2),
    Scenario("6 workers", 6),
    Scenario("workers join and leave", 2, _join_and_leave),
    Scenario("a worker stalls for 2 s", 2, _stall),
    Scenario("3 workers, clocks 5 s behind, right, 5 s ahead", 3, ahead_seconds=(-5.0, 0.0, 5.0)),
    Scenario("limiter keys deleted", 1, _flush_limiter),
    Scenario("Redis restarted", 1, _restart_redis),
    Scenario("a new TLS connection for one request in ten, tried again", 2, tls=True, faults={"resets_before": 10}),
)


def measure(bench: Bench) -> list[Line]:
    """Run every scenario; the plain one again and again."""
    lines = []
    for scenario in SCENARIOS:
        repeats = (2 if bench.quick else 3) if scenario.goal else (1 if bench.quick else 2)
        lines += _lines(scenario, [_play(bench, scenario) for _ in range(repeats)])
    return lines


@dataclass(frozen=True)
class _Seen:
    per_second: list[int]
    most: int
    throttled: int
    lag_ms: float
    others: str


def _play(bench: Bench, scenario: Scenario) -> _Seen:
    with stage(bench, "rate", tls=scenario.tls, faults=scenario.faults) as one:
        _start_workers(one, scenario)
        one.enqueue(
            bench, round(LIMIT * (SCENARIO_SECONDS + 22 if scenario.act is _join_and_leave else SCENARIO_SECONDS + 6))
        )
        one.wait_for_sending(0)
        others = Others()
        scenario.act(one, SCENARIO_SECONDS)
        told = str(others)
        counted = one.sandbox.statistics()
        offsets = one.sandbox.arrivals()["offsets"]
        with one.client() as client:
            waiting = client.run("bench").waiting
    if not waiting:
        raise RuntimeError(f"{scenario.name}: the work was over before the time was")
    bench.arrivals.setdefault(f"couponpress, {scenario.name}", offsets)
    bins = Counter(int(offset) for offset in offsets)
    return _Seen(
        per_second=[bins[second] for second in range(WARM_SECONDS, int(offsets[-1]))],
        most=counted["most_in_any_second"],
        throttled=counted["throttled"],
        lag_ms=counted["lag_ms"],
        others=told,
    )


def _start_workers(one: Stage, scenario: Scenario) -> None:
    if not scenario.ahead_seconds:
        one.start_workers(scenario.workers, **scenario.env)
    for seconds in scenario.ahead_seconds:
        clocks.start_worker(one, seconds)


def _lines(scenario: Scenario, seen: list[_Seen]) -> list[Line]:
    lag_ms = max(one.lag_ms for one in seen)
    others = " / ".join(one.others for one in seen)
    low = min(min(one.per_second) for one in seen)
    return [
        Line(
            "rate",
            f"{scenario.name}: share of the limit that is used",
            "of 500",
            [median(one.per_second) / LIMIT for one in seen],
            GOAL_SHARE if scenario.goal else None,
            at_most=False,
            note=f"median over one-second bins, the emptiest {low}; sandbox late by {lag_ms} ms at worst; {others}",
        ),
        Line(
            "rate", f"{scenario.name}: most in any window of 1 s", "requests", [one.most for one in seen], float(LIMIT)
        ),
        Line("rate", f"{scenario.name}: answered 429", "requests", [one.throttled for one in seen], 0.0),
    ]
