"""Keeps connections to one host open and gives each request one of them.

It opens a connection when none is idle, closes idle ones before the far end does, and limits how many there are. When
there is no connection, one of httpx's exceptions is raised, and nothing was sent:

- `ConnectError`: the host cannot be reached, or its certificate is not trusted;
- `ConnectTimeout`: that took too long;
- `PoolTimeout`: every connection stayed in use;
- `ProxyError`: the proxy refuses, does not answer, or is no proxy.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque

import httpx

from couponpress.transport.proxy import Proxy, unreachable
from couponpress_worker.wechatpay.connection import Connection, Tunnel
from couponpress_worker.wechatpay.happy_eyeballs import Addresses


class Pool:
    """Connections to one host; for one event loop.

    Args:
        host: a name or an address.
        port: TCP.
        ssl_context: whom to trust; None connects without TLS.
        most: how many may be in hand at once.
        connect_seconds: how long it may take to get a connection: waiting for a free one, the name, TCP and TLS.
        keep_alive_seconds: how long a connection that carries no request is used again; then it is closed.
        proxy: the HTTP proxy that connections go through, by CONNECT; None connects directly.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
        *,
        most: int,
        connect_seconds: float,
        keep_alive_seconds: float,
        proxy: Proxy | None = None,
    ) -> None:
        self._host, self._port, self._ssl_context = host, port, ssl_context
        self._proxy = proxy
        self._next_hop = Addresses(proxy.host, proxy.port) if proxy else Addresses(host, port)
        self._connect_seconds = connect_seconds
        self._keep_alive_seconds = keep_alive_seconds
        self._loop = asyncio.get_running_loop()
        self._places = _Places(most)
        self._sweep: asyncio.TimerHandle | None = None
        self.idle: deque[Connection] = deque()
        """Connections that no request uses, the one that was used last at the end."""
        self.in_hand: set[Connection] = set()
        """Connections that were taken and are not given back yet."""

    async def take(self, seconds: float | None = None) -> Connection:
        """Return an idle connection or a new one. The caller gives it back in any case.

        Args:
            seconds: how long it may take; None is the pool's own `connect_seconds`.

        Raises:
            httpx.ConnectError: the host cannot be reached.
            httpx.ConnectTimeout: it took too long to connect.
            httpx.PoolTimeout: all connections stayed in use.
            httpx.ProxyError: the proxy opens no connection to the host.
        """
        if (connection := self.take_now()) is None:
            placed = self._places.take_now()
            connection = await self._connected(self._connect_seconds if seconds is None else seconds, placed=placed)
            self.in_hand.add(connection)
        return connection

    def take_now(self) -> Connection | None:
        """Return an idle connection, as `take` does, or None when that would have to wait."""
        if not self._places.free or (connection := self._take_idle()) is None:
            return None
        self._places.free -= 1
        self.in_hand.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request if it is still usable."""
        self.in_hand.discard(connection)
        self._places.give_back()
        if connection.usable:
            self.idle.append(connection)
            if self._sweep is None:
                self._sweep = self._loop.call_later(self._keep_alive_seconds, self._close_rested)
        else:
            connection.close()

    def close(self) -> None:
        """Close every connection. Requests under way end with `httpx.ReadError`."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in (*self.idle, *self.in_hand):
            connection.close(httpx.ReadError("the client was closed"))
        self.idle.clear()

    async def _connected(self, seconds: float, *, placed: bool) -> Connection:
        """Return a connection within so many seconds, for whoever has a place or must wait for one."""
        deadline = self._loop.time() + seconds
        if not placed:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._places.take()
            except TimeoutError:
                raise httpx.PoolTimeout(f"connection timeout: all were in use for {seconds:g} s") from None
        try:
            return self._take_idle() or await self._opened(deadline, seconds)
        except BaseException as error:
            self._places.give_back()
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout(f"connection timeout: none within {seconds:g} s") from None
            if isinstance(error, OSError):
                raise httpx.ConnectError(f"Cannot connect to {self._host}:{self._port} ({error})") from None
            raise

    def _take_idle(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.usable and not self._rested(connection):
                return connection
            connection.close()
        return None

    def _rested(self, connection: Connection) -> bool:
        return self._loop.time() - connection.last_sent >= self._keep_alive_seconds

    def _close_rested(self) -> None:
        """Close what was idle for long, and look again when the next one is due."""
        for connection in [one for one in self.idle if not one.usable or self._rested(one)]:
            self.idle.remove(connection)
            connection.close()
        self._sweep = None
        if self.idle:
            due = min(one.last_sent for one in self.idle) + self._keep_alive_seconds
            self._sweep = self._loop.call_at(due, self._close_rested)

    async def _opened(self, deadline: float, seconds: float) -> Connection:
        """Open a connection, through the proxy if there is one.

        Args:
            deadline: when to give up, on the event loop's clock.
            seconds: how long that is from the start, for the errors.
        """
        async with asyncio.timeout_at(deadline):
            opened = await self._socket()
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy is not None:
                return await self._through(self._proxy, opened, deadline, seconds)
            async with asyncio.timeout_at(deadline):
                _, connection = await self._loop.create_connection(
                    Connection,
                    sock=opened,
                    ssl=self._ssl_context,
                    server_hostname=self._host if self._ssl_context else None,
                )
        except BaseException:
            opened.close()
            raise
        return connection

    async def _socket(self) -> socket.socket:
        """Open TCP to the host, or to its proxy."""
        try:
            return await self._next_hop.connect()
        except OSError as error:
            if self._proxy is None:
                raise
            raise httpx.ProxyError(unreachable(self._proxy, str(error))) from None

    async def _through(self, proxy: Proxy, opened: socket.socket, deadline: float, seconds: float) -> Connection:
        """Ask the proxy for a tunnel to the host, and open TLS with the host inside it."""
        loop = self._loop
        _, tunnel = await loop.create_connection(lambda: Tunnel(proxy, self._host, self._port), sock=opened)
        try:
            inner = await tunnel.opened(deadline, seconds)
            connection = Connection()
            if self._ssl_context is None:
                inner.set_protocol(connection)
                through: asyncio.Transport | None = inner
            else:
                async with asyncio.timeout_at(deadline):
                    through = await loop.start_tls(inner, connection, self._ssl_context, server_hostname=self._host)
        except BaseException:
            tunnel.close()
            raise
        if through is not None:  # None: it closed meanwhile, and the connection is not usable
            connection.connection_made(through)
        return connection


class _Places:
    """How many connections may still be in hand. Whoever waits for a place gets one in turn.

    Attributes:
        free: how many; it may be counted down.
    """

    def __init__(self, free: int) -> None:
        self.free = free
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a place if one is free."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def take(self) -> None:
        """Wait for a place."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a place to the first who waits."""
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(None)
                return
        self.free += 1
