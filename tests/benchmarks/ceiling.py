"""How many submits a second the sandbox itself can answer: requests signed beforehand, over kept connections."""

import asyncio
import ssl
import time
from urllib.parse import urlsplit

from couponpress_worker.runtime.factories import platform_for
from couponpress_worker.settings import Secrets
from tests.benchmarks.bench import Bench
from tests.benchmarks.stage import Stage

CONNECTIONS = 32


def sandbox_ceiling(bench: Bench, one: Stage, count: int = 2000) -> float:
    """Return the answers per second that a sender which only writes prepared bytes gets out of the sandbox."""
    requests = list(_prepared(bench, one, count))
    before = one.sandbox.control()["latency_ms"]
    one.sandbox.control(latency_ms=0)
    try:
        seconds = asyncio.run(_send(requests, one))
    finally:
        one.sandbox.control(latency_ms=before)
        one.sandbox.reset()
    return count / seconds


def _prepared(bench: Bench, one: Stage, count: int):
    platform = platform_for(one.settings, Secrets.read(one.settings))
    host = urlsplit(one.sandbox.base_url).netloc.encode()
    for body in bench.bodies(count, "ceiling"):
        yield platform.sign_submit(body).wire(host)


async def _send(requests: list[bytes], one: Stage) -> float:
    where = urlsplit(one.sandbox.base_url)
    context = ssl.create_default_context(cafile=one.env["COUPONPRESS_CA_FILE"]) if where.scheme == "https" else None
    pairs = [await asyncio.open_connection(where.hostname, where.port, ssl=context) for _ in range(CONNECTIONS)]
    waiting = iter(requests)
    began = time.monotonic()
    async with asyncio.TaskGroup() as senders:
        for reader, writer in pairs:
            senders.create_task(_exchange(waiting, reader, writer))
    seconds = time.monotonic() - began
    for _, writer in pairs:
        writer.close()
        await writer.wait_closed()
    return seconds


async def _exchange(waiting, reader, writer) -> None:
    for request in waiting:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"the sandbox refused a prepared request: {body.decode()}")
