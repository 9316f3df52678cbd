"""Redis, a sandbox and workers, each a process of its own, for the length of a block.

The bench enqueues, looks and waits; everything that is measured happens in other processes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from couponpress import Client, ProducerSettings
from couponpress.keys import Keys
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import stand_back
from couponpress_worker.sandbox.process import RunningSandbox, running
from couponpress_worker.settings import Settings
from tests.benchmarks.bench import Bench

ROOT = Path(__file__).resolve().parents[2]
LATENCY_MS = 50
START_SECONDS = 60.0
STOP_SECONDS = 30.0
RUN = "bench"


class Stage:
    """What one figure plays on."""

    def __init__(self, directory: Path, port: int, sandbox: RunningSandbox, env: dict[str, str]) -> None:
        self.directory = directory
        self.port = port
        self.sandbox = sandbox
        self.env = env
        self.workers: list[subprocess.Popen[bytes]] = []
        self.redis_process = redis_server.start(directory / "redis", port)
        self.redis = redis.Redis(port=port)
        self.keys = Keys(env["COUPONPRESS_MCHID"])

    @property
    def settings(self) -> Settings:
        """The fleet's settings, for those parts of it that a figure calls itself."""
        return Settings.load({name.removeprefix("COUPONPRESS_").lower(): text for name, text in self.env.items()})

    def client(self) -> Client:
        """Return a producer; to be closed by the caller."""
        return Client(
            ProducerSettings.load(
                {"redis_url": self.env["COUPONPRESS_REDIS_URL"], "mchid": self.env["COUPONPRESS_MCHID"]}
            )
        )

    def enqueue(self, bench: Bench, rows: int, run: str = RUN) -> None:
        """Enqueue a catalog of so many rows; sending begins once all are stored."""
        with self.client() as client:
            client.enqueue_many(bench.specs(rows), run=run)

    def start_workers(self, count: int = 1, *, core: int | None = None, **env: str) -> list[subprocess.Popen[bytes]]:
        """Start worker processes and wait until they take work; `core` pins them, all their threads."""
        words = [sys.executable, "-m", "couponpress", "worker"]
        return self.start(words, count, " ready.", core=core, **env)

    def start(
        self, words: list[str], count: int, ready: str, *, core: int | None = None, **env: str
    ) -> list[subprocess.Popen[bytes]]:
        """Start processes and wait until each has said `ready` in its log."""
        started = []
        for _ in range(count):
            log = self.directory / f"worker-{len(self.workers)}.log"
            with log.open("ab") as output:
                process = subprocess.Popen(
                    words,
                    cwd=ROOT,
                    env=os.environ | self.env | env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            stand_back(process.pid)
            if core is not None:  # before it has made a thread: they inherit it
                os.sched_setaffinity(process.pid, {core})
            self.workers.append(process)
            started.append((process, log))
        for process, log in started:
            self._wait_for(process, log, ready)
        return [process for process, _ in started]

    def stop_workers(self, processes: list[subprocess.Popen[bytes]] | None = None) -> None:
        """End workers as an operator does, and wait for them."""
        for process in list(self.workers if processes is None else processes):
            if process.poll() is None:
                process.terminate()
        for process in list(self.workers if processes is None else processes):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.workers.remove(process)

    def restart_redis(self) -> None:
        """Stop the server in order and start it again on the same data."""
        redis_server.stop(self.redis_process)
        self.redis_process = redis_server.start(self.directory / "redis", self.port)

    def wait_until(self, condition, what: str, seconds: float = 60.0) -> None:
        """Wait for a condition to hold."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not happen within {seconds:g} s; logs are in {self.directory}")
            time.sleep(0.1)

    def wait_for_sending(self, seconds: float) -> None:
        """Wait until requests have arrived for so many seconds."""
        self.wait_until(lambda: self.sandbox.statistics()["received"], "the first request")
        time.sleep(seconds)

    def close(self) -> None:
        """Stop everything."""
        self.stop_workers()
        self.redis.close()
        redis_server.stop(self.redis_process)

    @staticmethod
    def _wait_for(process: subprocess.Popen[bytes], log: Path, ready: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while ready not in log.read_text(encoding="utf-8", errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise TimeoutError(f"a worker did not become ready; the end of its log:\n{tail}")
            time.sleep(0.05)


@contextmanager
def stage(
    bench: Bench, name: str, *, tls: bool = True, env: dict[str, str] | None = None, **behaviour
) -> Iterator[Stage]:
    """Set a stage with an empty Redis and a strict sandbox that answers after 50 ms and enforces 500 a second."""
    directory = bench.directory / f"{name}-{time.monotonic_ns()}"
    directory.mkdir()
    port = redis_server.free_port()
    settings = {"latency_ms": LATENCY_MS, "limit": 500} | behaviour
    with running(bench.directory / "sandbox", tls=tls, strict=True, seed=bench.seed, **settings) as sandbox:
        values = sandbox.environment | {
            "COUPONPRESS_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "COUPONPRESS_LATENESS_MS": str(bench.lateness_ms),
        }
        one = Stage(directory, port, sandbox, values | (env or {}))
        try:
            yield one
        finally:
            one.close()
