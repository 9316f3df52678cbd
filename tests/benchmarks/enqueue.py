"""How fast the `submit` command turns a catalog into stored specs: the whole process, from its start to its end.

The command is pinned to one core, Redis to the others. Beside each run two fixed pieces of work are timed that the
figure can be compared with: an RSA-2048 signature, and `json.loads` of one of the rows.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import offers
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.machine import Signatures
from tests.benchmarks.processes import Others, keep_on
from tests.benchmarks.stage import ROOT, Stage, stage

#: The goals were set on a machine that signs in so many milliseconds.
SIGNATURE_OF_GOALS_MS = 0.52
GOALS = {"jsonl": 40_000.0, "csv": 30_000.0}
#: The same as CPU per row; the start of the command is among it.
GOALS_CPU_US = {"jsonl": 25.0, "csv": 33.0, "xlsx": 60.0}
NAMES = {"jsonl": "JSONL", "csv": "CSV", "xlsx": "a workbook"}


@dataclass
class Runs:
    """What the runs of one catalog took; each list has a value per run."""

    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    in_loads: list[float] = field(default_factory=list)
    per_signature: list[float] = field(default_factory=list)


def measure(bench: Bench) -> list[Line]:
    """Submit catalogs of offers that hardly ever repeat, and of few, each form several times into new runs."""
    lines = []
    with stage(bench, "enqueue", tls=False) as one:
        core = keep_apart(one)
        for unique in (True, False):
            for form in offers.FORMS:
                lines += _lines(bench, one, form, core, unique=unique)
        lines.append(_start_up(one, core))
    return lines


def submitted(one: Stage, path: Path, run: str, core: int) -> tuple[float, float]:
    """Run `couponpress submit`; returns its seconds by the clock and of CPU."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "couponpress", "submit", str(path), "--run", run],
        cwd=ROOT,
        env=os.environ | one.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    os.sched_setaffinity(process.pid, {core})
    told = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"`couponpress submit` ended with {process.returncode}:\n{told}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def loads_seconds(path: Path, count: int = 20_000) -> float:
    """Return the CPU that `json.loads` takes for a row of a JSONL catalog."""
    with path.open(encoding="utf-8") as file:
        rows = [line for line, _ in zip(file, range(count), strict=False)]
    began = time.thread_time()
    for row in rows:
        json.loads(row)
    return (time.thread_time() - began) / len(rows)


def keep_apart(one: Stage) -> int:
    """Put Redis on all cores but the first, which is the command's own; returns that one."""
    cores = sorted(os.sched_getaffinity(0))
    keep_on(set(cores[1:]) or set(cores), one.redis_process.pid)
    return cores[0]


def _lines(bench: Bench, one: Stage, form: str, core: int, *, unique: bool) -> list[Line]:
    rows = (20_000 if bench.quick else 50_000) if form == "xlsx" else 50_000 if bench.quick else 300_000
    kind = "unique" if unique else "few"
    path = offers.write(bench.directory / f"{kind}-{rows}.{form}", rows, unique=unique, seed=bench.seed)
    beside = offers.write(bench.directory / f"{kind}-20000.jsonl", 20_000, unique=unique, seed=bench.seed)
    runs, signatures, others = Runs(), Signatures(), Others()
    for number in range(3):
        one.redis.flushall()
        signatures.burst()
        loads = loads_seconds(beside)
        seconds, cpu = submitted(one, path, f"{form}-{number}", core)
        loads = (loads + loads_seconds(beside)) / 2
        signatures.burst()
        with one.client() as client:
            stored = client.run(f"{form}-{number}").total
        if stored != rows:
            raise RuntimeError(f"{stored} of {rows} rows were stored")
        runs.per_second.append(rows / seconds)
        runs.cpu_us.append(cpu / rows * 1e6)
        runs.in_loads.append(cpu / rows / loads)
        runs.per_signature.append(rows / cpu * signatures.take())
    about = f"{NAMES[form]}, {'offers that hardly ever repeat' if unique else f'{offers.FEW} offers'}"
    goal = GOALS.get(form) if unique else None
    cpu_goal = GOALS_CPU_US[form] if unique else None
    note = f"{rows} rows, the whole command on one core by the clock, Redis on the others; {others}"
    of_goal = None if goal is None else round(goal * SIGNATURE_OF_GOALS_MS / 1000, 1)
    return [
        Line("enqueue", f"{about}: rows", "/s", runs.per_second, goal, at_most=False, note=note),
        Line("enqueue", f"{about}: CPU of the command per row", "us", runs.cpu_us, cpu_goal),
        Line("enqueue", f"{about}: the same in `json.loads` of such a row", "times", runs.in_loads),
        Line(
            "enqueue",
            f"{about}: rows per signature's worth of that CPU",
            "rows",
            runs.per_signature,
            of_goal,
            at_most=False,
            note=f"the goal where a signature takes {SIGNATURE_OF_GOALS_MS} ms" if goal else "",
        ),
    ]


def _start_up(one: Stage, core: int) -> Line:
    """Time the command with a catalog of one row: what every run pays before and behind its rows."""
    path = offers.write(one.directory / "one.jsonl", 1, unique=True, seed=1)
    took = [submitted(one, path, f"one-{number}", core)[1] for number in range(5)]
    return Line("enqueue", "CPU of the command with one row", "s", took, 0.5, note="start-up, and all that is not rows")
