"""A whole night: `couponpress submit` of a long CSV, a worker, callbacks, and `couponpress results` with every URL.

The time is compared with the least there can be: one request per slot, then the platform's own time for the last
picture. Memory is looked at once a second, from the start of `submit` to the end of `results`.
"""

import asyncio
import csv
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from couponpress.keys import Keys
from couponpress.ledger.working import WorkLedger
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.runtime.factories import redis_for
from couponpress_worker.runtime.redis_server import free_port
from tests.benchmarks import offers, processes
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import LATENCY_MS, ROOT, Stage, stage
from tests.chaos.audit import surely_in_any_second

RUN = "night"
ROWS, QUICK_ROWS = 300_000, 20_000
#: What the fleet's slots add up to below the platform's 500; see docs/design.md.
SLOTS_PER_SECOND = 490
#: A picture is made within this time. The platform's pages do not say how long it takes.
PICTURE_SECONDS = 1.0
GOAL_TIME = 1.05
GOAL_GROWTH = 1.05
#: A night in which nothing ends for so long has failed.
STILL_SECONDS = 60.0
#: Between two looks at the run; a tenth of it when so few specs are left.
SLEEP_SECONDS, NEARLY = 0.5, 1000
#: Between two looks at the memory of all processes.
LOOK_SECONDS = 1.0
#: These hold more with every row because they are the record itself: of all outcomes, and of all that was received.
RECORDS = ("Redis", "the sandbox")


@dataclass
class Memory:
    """What processes held, looked at again and again.

    Attributes:
        pids: the leader of each process's session, by the process's name; those that ended are skipped.
        looks: MB by name, with the moment of each look on the monotonic clock.
    """

    pids: dict[str, int] = field(default_factory=dict)
    looks: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look while the block runs."""
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            yield
        finally:
            self._ended.set()
            watcher.join()

    def within(self, name: str, began: float, ended: float) -> float:
        """Return the median of the looks between two moments."""
        return median(mb for at, mb in self.looks[name] if began <= at <= ended)

    def over_time(self, name: str, began: float, ended: float, parts: int = 10) -> str:
        """Return the median of each part of the time between two moments, in words."""
        step = (ended - began) / parts
        found = [self.within(name, began + at * step, began + (at + 1) * step) for at in range(parts)]
        return ", ".join(f"{mb:.1f}" for mb in found)

    def most(self, name: str) -> float:
        """Return the most of all looks."""
        return max(mb for _, mb in self.looks[name])

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            for name, pid in list(self.pids.items()):
                held = processes.resident_mb_of_session(pid)
                if held:
                    self.looks[name].append((now, held))


@dataclass(frozen=True)
class _Command:
    """What one command took, by the clock and of CPU, seconds."""

    seconds: float
    cpu: float


def measure(bench: Bench) -> list[Line]:
    """Play the night once."""
    rows = QUICK_ROWS if bench.quick else ROWS
    path = offers.write(bench.directory / f"unique-{rows}.csv", rows, unique=True, seed=bench.seed)
    port, results = free_port(), bench.directory / "night-results.csv"
    behaviour = {"notify_url": f"http://127.0.0.1:{port}{CALLBACK_PATH}", "picture_seconds": PICTURE_SECONDS}
    with stage(bench, "night", **behaviour) as one:
        (worker,) = one.start_workers()
        words = [sys.executable, "-m", "couponpress", "callback", "--port", str(port)]
        (receiver,) = one.start(words, 1, "receiving callbacks")
        memory = Memory()
        services = {
            "the worker": worker.pid,
            "the callback receiver": receiver.pid,
            "Redis": one.redis_process.pid,
            "the sandbox": one.sandbox.process.pid,
        }
        memory.pids |= services
        before = {name: processes.cpu_seconds_of(pid) for name, pid in services.items()}
        empty = one.redis.info("memory")["used_memory"]
        others, began = Others(), time.monotonic()
        with memory.watched():
            submit = _couponpress(one, memory, "submit", str(path), "--run", RUN)
            sent_from = time.monotonic()
            waiting = one.redis.info("memory")["used_memory"]
            _wait_for_the_last(one)
            sent_until = time.monotonic()
            write = _couponpress(one, memory, "results", RUN, "-o", str(results))
            seconds = time.monotonic() - began
        cpu = {name: processes.cpu_seconds_of(pid) - before[name] for name, pid in services.items()}
        cpu |= {"`submit`": submit.cpu, "`results`": write.cpu}
        beside, counted, calls = str(others), one.sandbox.statistics(), one.sandbox.calls()
        surely, moments = surely_in_any_second(calls), [us / 1e6 for us in calls["moments_us"]]
        told = one.redis.info("memory")
        _check(one, results, rows)
        forgotten = asyncio.run(_forgotten(one))

    line = partial(Line, "night")
    least = rows / SLOTS_PER_SECOND + LATENCY_MS / 1000 + PICTURE_SECONDS
    span = min(60.0, (sent_until - sent_from) / 4)
    first, last = (sent_from, sent_from + span), (sent_until - span, sent_until)
    sending, tail = moments[-1] - moments[0], sent_until - moments[-1]
    lines = [
        line(
            "from `submit` to the results file, by the least there can be",
            "times",
            [seconds / least],
            GOAL_TIME,
            note=f"{rows} rows of CSV whose offers hardly ever repeat, {seconds:.1f} s; the least is {rows} / "
            f"{SLOTS_PER_SECOND} s, {LATENCY_MS} ms for the answer and up to {PICTURE_SECONDS:g} s for the picture: "
            f"{least:.1f} s; {beside}",
        ),
        line(
            "of it until the first request",
            "s",
            [moments[0] - began],
            note=f"`submit` took {submit.seconds:.1f} s, and its last row was stored with all others",
        ),
        line(
            "of it from the first request to the last",
            "s",
            [sending],
            note=f"{sending - rows / SLOTS_PER_SECOND:.1f} s more than the least, for slots that nobody used in time; "
            f"{len(moments)} requests, {len(moments) / sending:.1f} a second, in tenths of the time "
            + ", ".join(f"{rate:.0f}" for rate in _rates(moments)),
        ),
        line(
            "of it from the last request to the last URL",
            "s",
            [tail],
            note=f"the least is {LATENCY_MS / 1000 + PICTURE_SECONDS:g} s",
        ),
        line("of it `results`", "s", [write.seconds]),
        line(
            "surely in any window of 1 s",
            "requests",
            [surely],
            500,
            note="without bunches that the sandbox made by being late itself; with them "
            f"{counted['most_in_any_second']}, and {counted['throttled']} were answered with 429",
        ),
    ]
    for name in services:
        held = [memory.within(name, *span_of) for span_of in (first, last)]
        lines.append(
            line(
                f"memory of {name}, the last minute by the first",
                "ratio",
                [held[1] / held[0]],
                None if name in RECORDS else GOAL_GROWTH,
                note=f"resident, median of the looks in {span:.0f} s: {held[0]:.1f} MB, then {held[1]:.1f} MB, at most "
                f"{memory.most(name):.1f} MB; in tenths of the time {memory.over_time(name, sent_from, sent_until)} MB"
                + ("; it is a record of every row" if name in RECORDS else ""),
            )
        )
    commands = [
        name for name in ("`submit`", "`results`") if name in memory.looks
    ]  # a short one may end between two looks
    lines += [line(f"memory of {name}, at most", "MB", [memory.most(name)]) for name in commands]
    lines += [
        line(
            "Redis: memory when all rows wait", "MB", [(waiting - empty) / 1e6], note="used_memory above an empty one"
        ),
        line("Redis: memory at its top", "MB", [(told["used_memory_peak"] - empty) / 1e6]),
        line("Redis: memory when all rows have their URLs", "MB", [(told["used_memory"] - empty) / 1e6]),
        line("Redis: memory when the run is forgotten", "MB", [(forgotten - empty) / 1e6]),
    ]
    return lines + [line(f"CPU of {name} per row", "ms", [used / rows * 1000]) for name, used in cpu.items()]


def _rates(moments: list[float], parts: int = 10) -> list[float]:
    """Return how many requests came a second in each part of the time from the first one to the last."""
    step = (moments[-1] - moments[0]) / parts
    found = Counter(min(int((at - moments[0]) / step), parts - 1) for at in moments)
    return [found[part] / step for part in range(parts)]


def _couponpress(one: Stage, memory: Memory, *words: str) -> _Command:
    """Run a command to its end."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "couponpress", *words],
        cwd=ROOT,
        env=os.environ | one.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    memory.pids[f"`{words[0]}`"] = process.pid
    told = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"`couponpress {words[0]}` ended with {process.returncode}:\n{told}")
    return _Command(time.monotonic() - began, used.ru_utime + used.ru_stime)


def _wait_for_the_last(one: Stage) -> None:
    """Wait until every spec has ended, however long a busy machine takes, as long as some do."""
    with one.client() as client:
        waiting, changed_at = -1, time.monotonic()
        while not (status := client.run(RUN)).finished:
            now = time.monotonic()
            if (left := status.total - status.ended) != waiting:
                waiting, changed_at = left, now
            elif now - changed_at > STILL_SECONDS:
                raise TimeoutError(
                    f"nothing ended for {STILL_SECONDS:g} s, {waiting} wait; logs are in {one.directory}"
                )
            time.sleep(SLEEP_SECONDS if left > NEARLY else SLEEP_SECONDS / 10)


def _check(one: Stage, results: Path, rows: int) -> None:
    """Make sure that the results file has every row once, each with the address that the platform gave it."""
    given = one.sandbox.tasks()["image_urls"]
    with results.open(encoding="utf-8-sig", newline="") as file:
        found = {row["task_id"]: row["image_url"] for row in csv.DictReader(file)}
    if len(found) != rows or found != given:
        raise RuntimeError(f"{len(found)} of {rows} rows are in the results, {len(given)} pictures were made")


async def _forgotten(one: Stage) -> int:
    """Let the ledger forget the finished run, as a worker does when its time is over; returns what Redis holds then."""
    client = redis_for(one.settings)
    try:
        while await WorkLedger(client, Keys(one.settings.mchid)).forget_finished(0):
            pass
    finally:
        await client.aclose()
    return int(one.redis.info("memory")["used_memory"])
