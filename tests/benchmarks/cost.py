"""What a submission costs: CPU of the workers, commands and CPU of Redis; and the baseline on the same stage."""

import sys
import time

from tests.benchmarks import baseline, steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import Stage, stage

#: BullMQ with undici, and Celery with httpx, measured elsewhere: what the goal was set by.
GOAL_SIGNATURES = 2.4
GOAL_COMMANDS = 1.0
#: Celery reports nothing that one could wait for more cheaply.
BASELINE_WORDS = ["-m", "celery", "-A", "tests.benchmarks.baseline", "worker", "--loglevel=INFO"]


def measure(bench: Bench) -> list[Line]:
    """Measure one worker at 500 a second, then the baseline, against the same sandbox and the same Redis."""
    with stage(bench, "cost") as one:
        others = Others()
        ours, sent, kinds = _couponpress(bench, one)
        beside_ours = str(others)
        bench.arrivals["couponpress, 1 worker"] = one.sandbox.arrivals()["offsets"]
        most, throttled = (one.sandbox.statistics()[name] for name in ("most_in_any_second", "throttled"))
        one.stop_workers()
        one.redis.flushall()
        one.sandbox.reset()
        others = Others()
        theirs, enqueued_per_second, bytes_per_spec = _baseline(bench, one)
        bench.arrivals["Celery, a task per spec, httpx"] = one.sandbox.arrivals()["offsets"]
        counted = one.sandbox.statistics()
        beside_theirs = str(others)

    def line(name, unit, values, goal=None, note="", **more):
        return Line("cost", name, unit, list(values), goal, note=note, **more)

    shown = ", ".join(f"{name} {n:.3f}" for name, n in kinds.most_common(6))
    return [
        line(
            "CPU of the worker per accepted submission",
            "RSA-2048 signatures",
            (w.in_signatures for w in ours),
            GOAL_SIGNATURES,
            "TLS, 50 ms latency, strict, 500/s; signatures timed in the same seconds",
        ),
        line("the same in milliseconds", "ms", (w.workers_cpu * 1000 for w in ours)),
        line("one signature in the same seconds", "ms", (w.signature_cpu * 1000 for w in ours)),
        line(
            "rate in these windows",
            "/s",
            (w.rate for w in ours),
            note=f"most in any second {most}, 429: {throttled}; {beside_ours}",
        ),
        line(
            "Redis commands per submission, as clients send them",
            "commands",
            [sent],
            GOAL_COMMANDS,
            f"everything that clients of Redis sent while it was watched, polling included: {shown}",
        ),
        line(
            "Redis commands per submission, those inside scripts too",
            "commands",
            (w.redis_commands for w in ours),
            note="total_commands_processed of INFO",
        ),
        line("Redis CPU per submission", "ms", (w.redis_cpu * 1000 for w in ours)),
        line(
            "cores that worker, Redis and sandbox together need for 490/s here",
            "cores",
            (490 * (w.workers_cpu + w.redis_cpu + w.sandbox_cpu) for w in ours),
            note="where they are not to be had, the lines of `rate` cannot reach their goal",
        ),
        line(
            "baseline: CPU of all its worker processes per submission",
            "RSA-2048 signatures",
            (w.in_signatures for w in theirs),
            note="Celery, one task per spec, prefork 32, httpx, moving window of limits",
        ),
        line(
            "baseline: rate while work waits",
            "/s",
            (w.rate for w in theirs),
            note=f"most in any second {counted['most_in_any_second']}, 429: {counted['throttled']}; {beside_theirs}",
        ),
        line(
            "baseline: Redis commands per submission, inside scripts too",
            "commands",
            (w.redis_commands for w in theirs),
        ),
        line("baseline: Redis CPU per submission", "ms", (w.redis_cpu * 1000 for w in theirs)),
        line("baseline: enqueue", "specs/s", [enqueued_per_second], note="delay() per spec, bodies ready before"),
        line("baseline: Redis bytes per waiting spec", "bytes", [bytes_per_spec]),
        line(
            "baseline's CPU as a multiple of ours",
            "times",
            [t.in_signatures / o.in_signatures for t, o in zip(theirs, ours, strict=True)],
        ),
    ]


def _couponpress(bench: Bench, one: Stage):
    signatures = steady.signatures_of(one)
    one.start_workers()
    seconds = bench.windows * bench.window_seconds + 12
    one.enqueue(bench, round(500 * seconds))
    one.wait_for_sending(2)
    found = steady.windows(one, signatures, count=bench.windows, seconds=bench.window_seconds)
    sent, kinds = steady.commands_sent(one, 3)
    return found, sent, kinds


def _baseline(bench: Bench, one: Stage):
    count = 8000 if bench.quick else 14_000
    bodies = [body.decode() for body in bench.bodies(count, "baseline")]
    app = baseline.app
    app.conf.broker_url = one.env["COUPONPRESS_REDIS_URL"]
    before = one.redis.info("memory")["used_memory"]
    began = time.monotonic()
    for body in bodies:
        baseline.submit.delay(body)
    enqueued_per_second = count / (time.monotonic() - began)
    bytes_per_spec = (one.redis.info("memory")["used_memory"] - before) / count
    app.close()
    signatures = steady.signatures_of(one)
    words = [sys.executable, *BASELINE_WORDS, f"--concurrency={baseline.PROCESSES}"]
    one.start(words, 1, " ready.")
    one.wait_for_sending(10)  # every process of the pool has to load keys and connect first
    found = steady.windows(one, signatures, count=bench.windows, seconds=bench.window_seconds)
    return found, enqueued_per_second, bytes_per_spec
