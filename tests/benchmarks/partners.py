"""How several partners do on one Redis at 30 a second each, in growing numbers, until this machine can do no more.

Each partner is a fleet of its own: a worker process, chosen from one `partners.toml`, and a sandbox that enforces its
limit. Only the Redis is shared, and what it takes for each submission is the figure that decides how many partners a
server carries. When a partner falls far short, the machine is used up, and no larger step follows.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from couponpress import Client, ProducerSettings
from couponpress.partners import OWN, SHAREABLE
from couponpress_worker.errors import ServiceError
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import stand_back
from couponpress_worker.sandbox.credentials import PLATFORM_FILE, Credentials
from couponpress_worker.sandbox.process import RunningSandbox, running
from tests.benchmarks import processes
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import LATENCY_MS, ROOT, STOP_SECONDS

RATE = 30
#: A partner keeps its rate when it sends so much of it: the lateness budget costs some percent.
KEPT = 0.95
#: A step in which one sent less than this share is the last: the machine is used up.
ENOUGH = 0.5
#: All workers of a step must be ready within so long, and no step begins later than the other: the bench takes less
#: than eight minutes, whatever the machine does.
READY_SECONDS, LAST_STEP_SECONDS = 150.0, 240.0
STEPS, QUICK_STEPS = (1, 4, 8, 16), (1, 2, 4)
RUN = "bench"


@dataclass(frozen=True)
class Counted:
    """What was counted at one moment."""

    at: float
    accepted: list[int]
    redis_cpu: float
    commands: int
    workers_cpu: float


class Partners:
    """So many fleets on one Redis."""

    def __init__(self, directory: Path, sandboxes: list[RunningSandbox], ids: list[str]) -> None:
        self._sandboxes = sandboxes
        self.ids = ids
        port = redis_server.free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.redis_process = redis_server.start(directory / "redis", port)
        self.redis = redis.Redis(port=port)
        shared = dict(sandboxes[0].environment)
        tables = []
        for mchid, sandbox in zip(ids, sandboxes, strict=True):
            told = {name.removeprefix("COUPONPRESS_").lower(): text for name, text in sandbox.environment.items()}
            shared = {name: text for name, text in shared.items() if name not in sandbox.environment}
            own = {name: text for name, text in told.items() if name in OWN | SHAREABLE} | {"redis_url": self.url}
            tables += ["[[partner]]", f'id = "{mchid}"', f'rate = "{RATE}/second"']
            tables += [f"{name} = {json.dumps(text)}" for name, text in own.items()]
        (directory / "partners.toml").write_text("\n".join(tables))
        self._directory = directory
        self._env = os.environ | shared | {"COUPONPRESS_PARTNERS": str(directory / "partners.toml")}
        self._workers: list[subprocess.Popen[bytes]] = []

    def count(self) -> Counted:
        """Read every counter."""
        return Counted(
            time.monotonic(),
            [one.statistics()["accepted"] for one in self._sandboxes],
            processes.cpu_seconds_of(self.redis_process.pid),
            self.redis.info("stats")["total_commands_processed"],
            processes.cpu_seconds(process.pid for process in self._workers),
        )

    def start_workers(self) -> None:
        """Start a worker for each partner, one after the other, for imports need a core each.

        Raises:
            TimeoutError: not all were ready in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        for mchid in self.ids:
            log = self._directory / f"worker-{mchid}.log"
            words = [sys.executable, "-m", "couponpress", "worker", "--partner", mchid]
            with log.open("wb") as output:
                options = {"stdout": output, "stderr": subprocess.STDOUT, "start_new_session": True}
                self._workers.append(subprocess.Popen(words, cwd=ROOT, env=self._env, **options))
            stand_back(self._workers[-1].pid)
            while " ready." not in log.read_text(encoding="utf-8", errors="replace"):
                if self._workers[-1].poll() is not None or time.monotonic() > deadline:
                    raise TimeoutError(f"a worker is not ready:\n{log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.05)

    def enqueue(self, bench: Bench, rows: int) -> None:
        """Give every partner work."""
        for mchid in self.ids:
            with Client(ProducerSettings.load({"redis_url": self.url, "mchid": mchid})) as client:
                client.enqueue_many(bench.specs(rows), run=RUN)

    def close(self) -> None:
        """Stop everything."""
        for process in self._workers:
            process.terminate()
        for process in self._workers:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.redis.close()
        redis_server.stop(self.redis_process)


def measure(bench: Bench) -> list[Line]:
    """Measure each number of partners, idle and at their rate; returns what the largest came to, and each before."""
    lines: list[Line] = []
    began = time.monotonic()
    for number in QUICK_STEPS if bench.quick else STEPS:
        if time.monotonic() - began > LAST_STEP_SECONDS:
            bench.say("         no time for a further step")
            break
        bench.say(f"         {number} partners")
        try:
            slowest, found = step(bench, number, 10.0 if bench.quick else 30.0)
        except (TimeoutError, ServiceError) as error:
            if not lines:
                raise
            bench.say(f"         no further step: {error}")
            break
        lines += found
        if slowest < ENOUGH * RATE:
            bench.say(f"         the slowest partner sent {slowest:.1f} a second: no further step")
            break
    return lines


def step(bench: Bench, number: int, seconds: float) -> tuple[float, list[Line]]:
    """Measure so many partners for a while; returns the rate of the slowest as well.

    Raises:
        TimeoutError: the machine is used up.
        ServiceError: as above.
    """
    with partners(bench, number) as all_of_them:
        idle = _between(all_of_them, 5.0)
        all_of_them.enqueue(bench, int(RATE * (seconds + 60)))
        _wait_for_all(all_of_them)
        others = Others()
        busy = _between(all_of_them, seconds)
        beside = str(others)
    return busy.slowest, _lines(number, idle, busy, beside)


@contextmanager
def partners(bench: Bench, number: int) -> Iterator[Partners]:
    """Start so many fleets, each of one worker that has nothing to do yet."""
    directory = bench.directory / f"partners-{number}-{time.monotonic_ns()}"
    directory.mkdir()
    template = bench.directory / "partner-keys"
    Credentials.prepare(template)
    ids = [str(1900000200 + at) for at in range(number)]
    with ExitStack() as stack:
        sandboxes = []
        for mchid in ids:
            home = directory / mchid
            shutil.copytree(template, home)
            told = json.loads((home / PLATFORM_FILE).read_text())
            (home / PLATFORM_FILE).write_text(json.dumps(told | {"mchid": mchid}))
            options = {"tls": False, "strict": True, "seed": bench.seed, "latency_ms": LATENCY_MS, "limit": RATE}
            sandboxes.append(stack.enter_context(_sandbox(home, options)))
        one = Partners(directory, sandboxes, ids)
        stack.callback(one.close)
        one.start_workers()
        yield one


@contextmanager
def _sandbox(home: Path, options: dict[str, object]) -> Iterator[RunningSandbox]:
    """Run a sandbox; one that a busy machine did not start in time is started once more."""
    with ExitStack() as stack:
        try:
            one = stack.enter_context(running(home, **options))
        except ServiceError:
            one = stack.enter_context(running(home, **options))
        yield one


@dataclass(frozen=True)
class Window:
    """What lies between two counts."""

    seconds: float
    rates: list[float]
    redis_cpu: float
    commands: int
    workers_cpu: float

    @property
    def slowest(self) -> float:
        """The rate of the slowest partner."""
        return min(self.rates)

    @property
    def accepted(self) -> float:
        """What all partners sent."""
        return sum(self.rates) * self.seconds


def _between(one: Partners, seconds: float) -> Window:
    before = one.count()
    time.sleep(seconds)
    after = one.count()
    took = after.at - before.at
    return Window(
        took,
        [(now - then) / took for then, now in zip(before.accepted, after.accepted, strict=True)],
        after.redis_cpu - before.redis_cpu,
        after.commands - before.commands,
        after.workers_cpu - before.workers_cpu,
    )


def _wait_for_all(one: Partners) -> None:
    """Wait until every partner has sent for a second."""
    deadline = time.monotonic() + 60
    while min(one.count().accepted) < RATE:
        if time.monotonic() > deadline:
            raise TimeoutError("a partner sent next to nothing for a minute")
        time.sleep(0.2)


def _lines(number: int, idle: Window, busy: Window, beside: str) -> list[Line]:
    told = f"{number} partners at {RATE}/s"
    idle_worker = idle.workers_cpu / idle.seconds / number
    kept = sum(rate >= KEPT * RATE for rate in busy.rates)
    note = f"{os.cpu_count()} cores for {number} workers, {number} sandboxes and one Redis; {beside}"
    return [
        Line("partners", f"{told}: keep their rate", "partners", [kept], number, at_most=False, note=note),
        Line("partners", f"{told}: the slowest", "/s", [busy.slowest]),
        Line("partners", f"{told}: Redis CPU per submission", "ms", [busy.redis_cpu / busy.accepted * 1000]),
        Line("partners", f"{told}: Redis commands per submission", "commands", [busy.commands / busy.accepted]),
        Line("partners", f"{told}: share of a core that Redis takes", "%", [busy.redis_cpu / busy.seconds * 100]),
        Line("partners", f"{told}: the same while nothing is to do", "%", [idle.redis_cpu / idle.seconds * 100]),
        Line(
            "partners",
            f"{told}: a worker while nothing is to do",
            "%",
            [idle_worker * 100],
        ),
        Line("partners", f"{told}: CPU of a worker per submission", "ms", [busy.workers_cpu / busy.accepted * 1000]),
    ]
