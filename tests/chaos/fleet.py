"""Processes that are killed and started again: Redis and the services, under a small supervisor.

The chaos run says when and which. Each process is ended by its own process object; no process outlives its block.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from couponpress.keys import LANES, Keys
from couponpress.ledger.chunks import unpack
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import Services
from tests.chaos.audit import Span

#: Between two starts of a service that ends by itself, as a supervisor would wait.
_AGAIN_SECONDS = 1.0
#: How far back the sizes of the append-only file are remembered.
_SIZES_SECONDS = 5.0
#: What everysec may lose with the machine: everything that was written after the last fsync.
FSYNC_SECONDS = 1.0
_STOP_SECONDS = 30.0


@dataclass
class Service:
    """One service's place: the process that fills it changes.

    Attributes:
        name: such as `worker-1`; also of its logs.
        words: what `couponpress` is called with.
        ready: what its log says once it works.
        env: settings of its own, before those of the fleet.
        start_at: when it is to be started again; None while it runs.
        ready_at: when this life of it was ready; None before.
        lives: how often it was started.
        ended_alone: exit codes of lives that nobody ended.
    """

    name: str
    words: tuple[str, ...]
    ready: bytes
    env: dict[str, str] = field(default_factory=dict)
    start_at: float | None = 0.0
    ready_at: float | None = None
    lives: int = 0
    ended_alone: list[int] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None


class Fleet:
    """The services, each started again some time after it ended, whoever ended it."""

    def __init__(self, directory: Path, env: dict[str, str], services: list[Service]) -> None:
        self._directory = directory
        self._env = env
        self.services = {service.name: service for service in services}

    def look_after(self) -> None:
        """Start what is to be started, and note what ended or became ready."""
        now = time.monotonic()
        for service in self.services.values():
            if service.start_at is not None and service.start_at <= now:
                self._start(service)
            elif service.process is not None and (code := service.process.poll()) is not None:
                service.ended_alone.append(code)
                service.process, service.ready_at, service.start_at = None, None, now + _AGAIN_SECONDS
            elif service.ready_at is None and service.lives and service.ready in self._log(service).read_bytes():
                service.ready_at = now

    def kill(self, name: str, down_seconds: float) -> tuple[float, int] | None:
        """Kill a service without a word; returns when, and its process id, or None when it was not up."""
        service = self.services[name]
        if service.process is None or service.process.poll() is not None:
            return None
        process, at = service.process, time.monotonic()
        process.kill()
        process.wait()
        service.process, service.ready_at, service.start_at = None, None, at + down_seconds
        return at, process.pid

    def all_ready(self) -> bool:
        """Whether every service works."""
        return all(service.ready_at is not None for service in self.services.values())

    def workers_ready(self) -> int:
        """How many workers work."""
        return sum(one.ready_at is not None for name, one in self.services.items() if name.startswith("worker"))

    def stop(self) -> None:
        """End everything as an operator does."""
        running = [service.process for service in self.services.values() if service.process is not None]
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        for process in running:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, service: Service) -> None:
        service.lives += 1
        with self._log(service).open("wb") as log:
            service.process = Services.launch(
                [sys.executable, "-m", "couponpress", *service.words],
                env=os.environ | self._env | service.env,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service.start_at = None

    def _log(self, service: Service) -> Path:
        return self._directory / f"{service.name}.{service.lives}.log"


class Redis:
    """The server: stopped, killed, paused, cut off, and robbed of its last second.

    Attributes:
        url: where it is.
        away: while it did not answer.
        forgotten: what it may have lost: nothing without a kill.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = redis_server.free_port()
        self._process = redis_server.start(directory, self._port)
        self._sizes: deque[tuple[float, Path, int]] = deque()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis(
            port=self._port, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self.away: list[Span] = []
        self.forgotten: list[Span] = []
        self.down: tuple[str, float] | None = None
        """What was done to it and when, until it is undone."""

    def remember_size(self) -> None:
        """Note how large the append-only file is now."""
        if self.down is not None:
            return
        now = time.monotonic()
        for path in (self._directory / "appendonlydir").glob("*.incr.aof"):
            self._sizes.append((now, path, path.stat().st_size))
        while self._sizes and self._sizes[0][0] < now - _SIZES_SECONDS:
            self._sizes.popleft()

    def strike(self, what: str) -> None:
        """Do one of the things of `plan.REDIS_ACTS`."""
        if self.down is not None:
            return
        at = time.monotonic()
        match what:
            case "redis cuts connections":
                for kind in ("normal", "pubsub"):
                    self.client.client_kill_filter(_type=kind, skipme=True)
                self.away.append(Span(at, time.monotonic(), what))
                return
            case "redis stops":
                redis_server.stop(self._process)
            case "redis is paused":
                self._process.send_signal(signal.SIGSTOP)
            case _:
                self._process.kill()
                self._process.wait()
                began = self._cut_back(at) if what == "redis loses a second" else at - FSYNC_SECONDS
                self.forgotten.append(Span(began, at, what))
        self.down = (what, at)

    def undo(self) -> None:
        """Let it answer again."""
        if self.down is None:
            return
        what, at = self.down
        if what == "redis is paused":
            self._process.send_signal(signal.SIGCONT)
            self._wait_for_answer()
        else:
            self._process = redis_server.start(self._directory, self._port)
        self._sizes.clear()
        self.away.append(Span(at, time.monotonic(), what))
        self.down = None

    def stop(self) -> None:
        """End the server."""
        self._process.send_signal(signal.SIGCONT)
        self.client.close()
        redis_server.stop(self._process)

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            with suppress(redis.RedisError):
                self.client.ping()
                return
        raise TimeoutError(f"Redis did not answer within {_STOP_SECONDS:g} s of its pause")

    def _cut_back(self, at: float) -> float:
        """Shorten the append-only file to what it was a second before; returns the moment of that."""
        earlier = [(moment, path, size) for moment, path, size in self._sizes if moment <= at - FSYNC_SECONDS]
        if not earlier or not earlier[-1][1].exists():
            return at - FSYNC_SECONDS
        moment, path, size = earlier[-1]
        os.truncate(path, min(size, path.stat().st_size))
        return moment


def in_hand(client: redis.Redis, keys: Keys, pid: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the specs that wait to be sent in chunks whose lease a process has, and all specs of these chunks."""
    waiting, every = set(), set()
    for lane in LANES:
        for chunk_id in client.zrange(keys.open(lane), 0, -1):
            owner, states, stored = client.hmget(keys.chunk(chunk_id.decode()), ["owner", "s", "z"])
            if owner is not None and owner.decode().split(":")[-2] == str(pid) and states and stored:
                task_ids = [row.body_fields()["task_id"] for row in unpack(stored)]
                every.update(task_ids)
                waiting |= {one for one, letter in zip(task_ids, states.decode(), strict=True) if letter == "w"}
    return frozenset(waiting), frozenset(every)
