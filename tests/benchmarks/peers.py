"""BullMQ with undici doing the same work beside couponpress: rows enqueued per second, CPU per submission.

npm installs the peer into the bench's temporary folder, and nowhere else. Without npm or without a registry the figure
says so and measures nothing.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks import offers, steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.enqueue import keep_apart, submitted
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import Stage, stage

PACKAGES = ("bullmq@6", "undici@7", "ioredis@6")
SCRIPT = Path(__file__).with_name("bullmq.js")
IN_FLIGHT = 100
#: What the peer submits in each turn: with a quarter of it, its compiler is still at work, and it costs a third more.
PEER_JOBS = 12_000
LIMIT = 500
NOT_REFUSED = "the sandbox counts them and refuses none, so that the CPU is that of accepted requests"
GOAL_ENQUEUE, GOAL_CPU = 3.0, 0.9


def measure(bench: Bench) -> list[Line]:
    """Measure both in turns, on the same Redis and against the same sandbox."""
    home = _installed(bench)
    if home is None:
        return []
    with stage(bench, "peers") as one:
        return [*_enqueue(bench, one, home), *_submit(bench, one, home)]


def _installed(bench: Bench) -> Path | None:
    """Install the peer; None, said aloud, where that cannot be."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        bench.say("[bold red]peers are NOT measured: there is no npm or no node on PATH[/]")
        return None
    home = bench.directory / "peers"
    home.mkdir(exist_ok=True)
    words = [npm, "install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", *PACKAGES]
    done = subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        bench.say(f"[bold red]peers are NOT measured: npm could not install them[/]\n{done.stderr.strip()[-500:]}")
        return None
    shutil.copy(SCRIPT, home)
    return home


def _peer(one: Stage, home: Path, *words: object, core: int | None = None) -> dict[str, float]:
    command = ["node", SCRIPT.name, *map(str, words)]
    process = subprocess.Popen(command, cwd=home, env=os.environ | one.env, stdout=subprocess.PIPE)
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    told, _ = process.communicate(timeout=600)
    if process.returncode:
        raise RuntimeError(f"BullMQ ended with {process.returncode}")
    return json.loads(told.splitlines()[-1])


def _enqueue(bench: Bench, one: Stage, home: Path) -> list[Line]:
    """Enqueue offers that hardly ever repeat: our whole command, and the peer's addBulk alone, in turns."""
    rows, theirs_rows = (100_000, 20_000) if bench.quick else (300_000, 60_000)
    path = offers.write(bench.directory / f"unique-{rows}.jsonl", rows, unique=True, seed=bench.seed)
    core = keep_apart(one)
    ours, theirs, ours_cpu, theirs_cpu, others = [], [], [], [], Others()
    for number in range(3):
        one.redis.flushall()
        seconds, cpu = submitted(one, path, f"peers-{number}", core)
        ours.append(rows / seconds)
        ours_cpu.append(cpu / rows * 1e6)
        one.redis.flushall()
        peer = _peer(one, home, "enqueue", theirs_rows, one.port, core=core)
        theirs.append(peer["per_second"])
        theirs_cpu.append(peer["cpu_us"])
    one.redis.flushall()
    note = f"in turns, each on one core, Redis on the others; {others}"
    return [
        Line("peers", "couponpress: rows of JSONL enqueued, the whole command", "/s", ours, note=f"{rows} rows {note}"),
        Line("peers", "BullMQ: jobs enqueued by addBulk, 500 at a time", "/s", theirs, note=f"{theirs_rows} jobs"),
        Line(
            "peers",
            "couponpress by BullMQ, rows per second",
            "times",
            [our / their for our, their in zip(ours, theirs, strict=True)],
            GOAL_ENQUEUE,
            at_most=False,
            note="BullMQ reads no file, checks nothing, and its start is not counted",
        ),
        Line("peers", "couponpress: CPU of the whole command per row", "us", ours_cpu),
        Line("peers", "BullMQ: CPU per job", "us", theirs_cpu),
        Line(
            "peers",
            "BullMQ by couponpress, CPU per row",
            "times",
            [their / our for our, their in zip(ours_cpu, theirs_cpu, strict=True)],
            note="what others do on the machine changes this least",
        ),
    ]


def _submit(bench: Bench, one: Stage, home: Path) -> list[Line]:
    """Submit under a limit of 500 a second: our worker, then the peer, in turns. What both sent was accepted."""
    signatures, seconds = steady.signatures_of(one), 4.0
    found, theirs, our_most, their_most = [], [], 0, 0
    for number in range(bench.windows):
        one.sandbox.control(limit=LIMIT)
        one.sandbox.reset()
        one.start_workers()
        one.enqueue(bench, round(LIMIT * (seconds + 8)), run=f"peers-{number}")
        one.wait_for_sending(2)
        found += steady.windows(one, signatures, count=1, seconds=seconds)
        our_most = max(our_most, one.sandbox.statistics()["most_in_any_second"])
        one.stop_workers()
        one.redis.flushall()
        # Its limiter lets more than 500 go within some seconds. They are counted, and none is refused: a refused
        # request costs less than an accepted one.
        one.sandbox.control(limit=0)
        one.sandbox.reset()
        signatures.burst()
        told = _peer(one, home, "submit", PEER_JOBS, one.port, IN_FLIGHT)
        signatures.burst()
        if told["failed"]:
            raise RuntimeError(f"{told['failed']} of BullMQ's jobs failed")
        theirs.append(told | {"signatures": told["cpu_ms"] / 1000 / signatures.take()})
        their_most = max(their_most, one.sandbox.statistics()["most_in_any_second"])
    ours_cpu = [window.workers_cpu * 1000 for window in found]
    pairs = list(zip(found, theirs, strict=True))
    rates = ", ".join(f"{told['per_second']:.0f}" for told in theirs)
    return [
        Line("peers", "couponpress: CPU of the worker per submission", "ms", ours_cpu),
        Line("peers", "the same in signatures timed beside it", "signatures", [one.in_signatures for one in found]),
        Line(
            "peers",
            "BullMQ with undici: CPU per submission",
            "ms",
            [told["cpu_ms"] for told in theirs],
            note=f"{IN_FLIGHT} in flight; it sent {rates} a second",
        ),
        Line(
            "peers",
            "the same in signatures timed before and after it",
            "signatures",
            [told["signatures"] for told in theirs],
        ),
        Line(
            "peers",
            "couponpress by BullMQ, CPU per submission in signatures",
            "times",
            [window.in_signatures / told["signatures"] for window, told in pairs],
            GOAL_CPU,
        ),
        Line(
            "peers",
            "the same in ms",
            "times",
            [window.workers_cpu * 1000 / told["cpu_ms"] for window, told in pairs],
        ),
        Line("peers", "couponpress: most in one second, of a limit of 500", "requests", [our_most], LIMIT),
        Line("peers", "BullMQ: most in one second, of a limit of 500", "requests", [their_most], note=NOT_REFUSED),
    ]
