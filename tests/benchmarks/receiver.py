"""The least receiver that a worker can send to: it takes no core from what is measured, and checks nothing.

It answers each request after the latency with the same bytes, which it signs anew every minute, over TLS. How many it
took stands in a file that is read without asking it.
"""

import asyncio
import gc
import mmap
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox.credentials import Credentials
from couponpress_worker.sandbox.tls import TlsFiles
from couponpress_worker.wechatpay.signing import answer_message
from tests.benchmarks.stage import LATENCY_MS

_COUNT = struct.Struct("Q")
_HEADERS = {
    "Server": "nginx",
    "Content-Type": "application/json; charset=utf-8",
    "Connection": "keep-alive",
    "Keep-Alive": "timeout=8",
    "Cache-Control": "no-cache, must-revalidate",
    "X-Content-Type-Options": "nosniff",
    "Request-ID": "08F78BA9-0",
    "Content-Language": "zh-CN",
    "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
}
_SIGN_EVERY_SECONDS = 60
_BODY = b'{"task_id":"cp_bench"}'


class Receiver:
    """What all connections share."""

    def __init__(self, credentials: Credentials, counts: mmap.mmap, latency_seconds: float) -> None:
        self._credentials = credentials
        self._counts = counts
        self._latency = latency_seconds
        self._loop = asyncio.get_running_loop()
        self._due: deque[tuple[float, asyncio.Transport]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._sign()

    def arrived(self, transport: asyncio.Transport) -> None:
        """Count a request, and answer it later."""
        self._received += 1
        _COUNT.pack_into(self._counts, 0, self._received)
        due = self._loop.time() + self._latency
        self._due.append((due, transport))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._answer)

    def _answer(self) -> None:
        """Answer what is due: all that is due within the same millisecond at once."""
        soon = self._loop.time() + 0.001
        while self._due and self._due[0][0] <= soon:
            _, transport = self._due.popleft()
            if not transport.is_closing():
                transport.write(self._bytes)
        self._timer = self._loop.call_at(self._due[0][0], self._answer) if self._due else None

    def _sign(self) -> None:
        now, nonce = str(int(time.time())), "a" * 32
        headers = _HEADERS | {
            "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": self._credentials.platform_key.sign(answer_message(now, nonce, _BODY)),
            "Wechatpay-Timestamp": now,
            "Wechatpay-Serial": self._credentials.public_key_id,
            "Content-Length": str(len(_BODY)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._bytes = f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + _BODY
        self._loop.call_later(_SIGN_EVERY_SECONDS, self._sign)


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if end and len(body) == int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0):
            self._read = b""
            self._receiver.arrived(self._transport)


class RunningReceiver:
    """A receiver in a process of its own, in the place of a stage's sandbox."""

    def __init__(self, base_url: str, process: subprocess.Popen[bytes], counts: mmap.mmap) -> None:
        self.base_url = base_url
        self.process = process
        self._counts = counts

    def statistics(self) -> dict[str, int]:
        """Return what was counted; every request is accepted."""
        (received,) = _COUNT.unpack_from(self._counts)
        return {"received": received, "accepted": received}


@contextmanager
def running(directory: Path, latency_ms: int = LATENCY_MS) -> Iterator[RunningReceiver]:
    """Run one with the keys of a sandbox that was started in the directory before."""
    port = free_port()
    path = directory / f"counts-{port}"
    path.write_bytes(bytes(_COUNT.size))
    words = [sys.executable, "-m", __name__, str(directory), str(port), str(latency_ms)]
    process = subprocess.Popen(words)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the receiver did not start") from None
                time.sleep(0.05)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as counts:
            yield RunningReceiver(f"https://127.0.0.1:{port}", process, counts)
    finally:
        process.terminate()
        process.wait(10)


async def _serve(directory: Path, port: int, latency_ms: int) -> None:
    files = TlsFiles(directory / "ca.pem", directory / "server.pem", directory / "server_key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    with (directory / f"counts-{port}").open("r+b") as file, mmap.mmap(file.fileno(), 0) as counts:
        receiver = Receiver(Credentials.prepare(directory), counts, latency_ms / 1000)
        await loop.create_server(lambda: _Connection(receiver), "127.0.0.1", port, ssl=context, backlog=1000)
        gc.freeze()
        await stopped.wait()
        os._exit(0)


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
