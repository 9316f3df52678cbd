"""How many single specs one gateway takes on one core, how long each waits, and what a request costs."""

import asyncio
import os
import sys
import time
from collections import Counter
from functools import partial
from statistics import median

from couponpress.gateway.tokens import add_token
from couponpress_worker.runtime.redis_server import free_port
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.machine import SIGNATURE_THERE_MS, Signatures
from tests.benchmarks.processes import Others, cpu_seconds_of
from tests.benchmarks.stage import Stage, stage

GOAL_PER_SECOND = 2000
GOAL_P99_MS = 100.0
#: One core's time for one request, as signatures of the machine that the goal was set on.
GOAL_SIGNATURES = round(1000 / GOAL_PER_SECOND / SIGNATURE_THERE_MS, 2)
#: As many as callers of 2,000 requests a second keep open when each waits 100 ms at worst.
CONNECTIONS = 256


def measure(bench: Bench) -> list[Line]:
    """Send specs at a fixed rate, then as fast as they are taken, to one gateway on a core of its own."""
    at_rate, at_most = Figures(), Figures()
    with stage(bench, "gateway", tls=False) as one:
        process, port, token = _gateway(one)
        asyncio.run(_send(_requests(bench, 1000, "warm", port, token), port, GOAL_PER_SECOND))
        others = Others()
        for number in range(bench.windows):
            for figures, rate, seconds in ((at_rate, GOAL_PER_SECOND, 4), (at_most, None, 2)):
                count = GOAL_PER_SECOND * seconds
                requests = _requests(bench, count, f"{'rate' if rate else 'most'}-{number}", port, token)
                _measure_one(figures, process, requests, port, rate)
        beside = str(others)
        with one.client() as client:
            stored = sum(run.total for run in client.runs())
        sent = 1000 + bench.windows * GOAL_PER_SECOND * 6
        if stored != sent:
            raise RuntimeError(f"{sent} specs were confirmed, {stored} are stored")

    line = partial(Line, "gateway")
    return [
        line(
            "single specs confirmed of one gateway on one core",
            "/s",
            at_most.per_second,
            GOAL_PER_SECOND,
            at_most=False,
            note=f"over {CONNECTIONS} connections, each with one request at a time; each spec is stored before its "
            f"answer; the sender and Redis share the other cores; {beside}",
        ),
        line(f"wait at {GOAL_PER_SECOND}/s, p50", "ms", at_rate.p50_ms),
        line(
            f"wait at {GOAL_PER_SECOND}/s, p99",
            "ms",
            at_rate.p99_ms,
            GOAL_P99_MS,
            note="from the moment at which the request was due, whether or not a connection was free",
        ),
        line(f"confirmed at {GOAL_PER_SECOND}/s sent", "/s", at_rate.per_second),
        line(f"CPU of the gateway per request at {GOAL_PER_SECOND}/s", "ms", at_rate.cpu_ms),
        line("CPU of the gateway per request at its most", "ms", at_most.cpu_ms),
        line(
            "the same in RSA-2048 signatures",
            "signatures",
            at_most.cpu_signatures,
            GOAL_SIGNATURES,
            note=f"the goal in the same measure: a whole core for {GOAL_PER_SECOND}/s where a signature takes 0.33 ms",
        ),
    ]


class Figures:
    """What is measured, one value per repetition."""

    def __init__(self) -> None:
        self.per_second: list[float] = []
        self.p50_ms: list[float] = []
        self.p99_ms: list[float] = []
        self.cpu_ms: list[float] = []
        self.cpu_signatures: list[float] = []


def _measure_one(figures: Figures, process, requests: list[bytes], port: int, rate: int | None) -> None:
    signatures = Signatures()
    signatures.burst()
    before, began = cpu_seconds_of(process.pid), time.monotonic()
    waits, statuses = asyncio.run(_send(requests, port, rate))
    seconds = time.monotonic() - began
    cpu = (cpu_seconds_of(process.pid) - before) / len(requests)
    signatures.burst()
    if statuses != {202: len(requests)}:
        raise RuntimeError(f"not every spec was taken: {dict(statuses)}")
    figures.per_second.append(len(requests) / seconds)
    figures.p50_ms.append(median(waits) * 1000)
    figures.p99_ms.append(sorted(waits)[len(waits) * 99 // 100] * 1000)
    figures.cpu_ms.append(cpu * 1000)
    figures.cpu_signatures.append(cpu / signatures.take())


def _gateway(one: Stage):
    port, path = free_port(), one.directory / "tokens.toml"
    token = add_token(path, "bench", brands=None, quota=10_000_000, namespace=None)
    words = [sys.executable, "-m", "couponpress", "gateway", "--port", str(port)]
    core = max(os.sched_getaffinity(0))
    env = {"COUPONPRESS_GATEWAY_TOKENS_FILE": str(path)}
    (process,) = one.start(words, 1, "taking requests", core=core, **env)
    return process, port, token


def _requests(bench: Bench, count: int, run: str, port: int, token: str) -> list[bytes]:
    """Write requests byte for byte as they go."""
    return [
        f"POST /v1/runs/{run}/specs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bench.bodies(count, run)
    ]


async def _send(requests: list[bytes], port: int, rate: int | None) -> tuple[list[float], Counter]:
    """Send all of them, so many a second or as fast as they are answered; returns waits and statuses."""
    connections = [await _Connection.open(port) for _ in range(CONNECTIONS)]
    waits: list[float] = []
    statuses: Counter = Counter()
    began, waiting = time.monotonic(), iter(enumerate(requests))

    async def lane(connection):
        for number, request in waiting:
            due = time.monotonic() if rate is None else began + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            statuses[await connection.ask(request)] += 1
            waits.append(time.monotonic() - due)
        connection.close()

    async with asyncio.timeout(120):
        await asyncio.gather(*map(lane, connections))
    return waits, statuses


class _Connection(asyncio.Protocol):
    """One request at a time; answers are small, so each comes in one piece."""

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport):
        self._transport = transport
        self._answer: asyncio.Future[int] | None = None

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data):
        if data.startswith(b"HTTP/1.1 ") and self._answer is not None:
            self._answer.set_result(int(data[9:12]))
            self._answer = None

    def connection_lost(self, error):
        if self._answer is not None:
            self._answer.set_exception(error or ConnectionResetError("the gateway hung up"))

    def close(self):
        self._transport.close()
