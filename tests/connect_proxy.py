"""A real HTTP proxy on loopback for the tests: CONNECT tunnels and forwarded http, and ways in which proxies fail.

`names` maps host names to addresses on 127.0.0.0/8, as a proxy's own DNS would: no name leaves the machine. A host that
is neither in it nor on loopback gets 502.
"""

import asyncio
import base64
import contextlib
import ipaddress
import threading
from urllib.parse import urlsplit

PAGE = b"<html><body>Please log in to the network</body></html>"


class ConnectProxy:
    """Runs in a thread of its own; use as a context manager.

    Args:
        login: `user:password` that a client must send; None asks for none.
        mode: `work`, `refuse` (403), `stall` (never answers), `html` (a page in place of a tunnel, with 200),
            `close` (hangs up), or `garbage` (no HTTP).
        names: addresses of host names.

    Attributes:
        asked: what was asked for, in order: `CONNECT host:port` or `GET http://...`.
        refused_logins: how many requests had no login, or a wrong one.
    """

    def __init__(self, login=None, mode="work", names=None):
        self.login, self.mode, self.names = login, mode, dict(names or {})
        self.asked, self.refused_logins = [], 0
        self._ready = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def url(self):
        """What a client is told, login included."""
        return f"http://{self.login + '@' if self.login else ''}127.0.0.1:{self.port}"

    async def _serve(self):
        self._loop, self._stopped, self._tasks = asyncio.get_running_loop(), asyncio.Event(), set()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer_one(reader, writer)
        except asyncio.CancelledError:  # the proxy is being closed; a stalled client is hung up on
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer_one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = line.split(" ")
        self.asked.append(f"{method} {target}")
        named = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in headers)}
        if self.mode == "stall":
            await self._stopped.wait()
        elif self.mode == "close":
            return
        elif self.mode == "garbage":
            await self._say(writer, b"SSH-2.0-OpenSSH_9.2\r\n")
        elif self.mode == "html":
            await self._say(writer, _page(b"200 OK"))
        elif self.mode == "refuse":
            await self._say(writer, _page(b"403 Forbidden"))
        elif self.login and named.get("proxy-authorization") != _basic(self.login):
            self.refused_logins += 1
            await self._say(
                writer, _page(b"407 Proxy Authentication Required", b'Proxy-Authenticate: Basic realm="x"\r\n')
            )
        elif method == "CONNECT":
            host, _, port = target.rpartition(":")
            await self._join(reader, writer, host.strip("[]"), int(port), b"")
        else:
            parts = urlsplit(target)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            kept = [one for one in headers if not one.lower().startswith(("proxy-", "connection:"))]
            request = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode("latin-1")
            await self._join(reader, writer, parts.hostname, parts.port or 80, request)

    async def _join(self, reader, writer, host, port, request):
        address = self.names.get(host, host)
        try:
            far_reader, far_writer = await asyncio.open_connection(str(_loopback(address)), port)
        except (OSError, ValueError):
            await self._say(writer, _page(b"502 Bad Gateway"))
            return
        if request:
            far_writer.write(request)
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _say(self, writer, answer):
        writer.write(answer)
        await writer.drain()
        writer.write_eof()


def _loopback(address):
    found = ipaddress.ip_address(address)
    if not found.is_loopback:
        raise ValueError(address)
    return found


def _page(status, more=b""):
    length = str(len(PAGE)).encode()
    head = b"HTTP/1.1 " + status + b"\r\n" + more + b"Content-Type: text/html\r\nContent-Length: " + length
    return head + b"\r\nConnection: close\r\n\r\n" + PAGE


def _basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()


async def _copy(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
