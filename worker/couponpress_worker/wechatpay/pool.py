"""The open connections to the platform: which one a request gets, how many there are, how long an idle one is kept.

Decides when a connection is opened and when an idle one is too old to be trusted. Refuses to know what is sent on it.
Several addresses of one name are tried as RFC 8305 has it (aiohappyeyeballs).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import Final

import aiohappyeyeballs

from couponpress_worker.wechatpay.connection import Connection

#: How long the addresses of the platform's name are good for, seconds: an outage may move it.
ADDRESS_SECONDS: Final = 10.0
#: The next address is tried beside the first when that gives no answer for so long (RFC 8305 section 5).
NEXT_ADDRESS_SECONDS: Final = 0.25


class NotConnectedError(Exception):
    """There is no connection to send on; nothing was sent."""


class Pool:
    """Connections to one host; for one event loop.

    Args:
        host: a name or an address.
        port: TCP.
        ssl_context: whom to trust; None connects without TLS.
        most: how many may be in hand at once.
        connect_seconds: how long a free connection, the name, TCP and TLS may take together.
        keep_alive_seconds: how long a connection that carries no request is used again; then it is closed.
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
    ) -> None:
        self._host, self._port, self._ssl_context = host, port, ssl_context
        self._connect_seconds = connect_seconds
        self._keep_alive_seconds = keep_alive_seconds
        self._free = asyncio.Semaphore(most)
        self._resolving = asyncio.Lock()
        self._addresses: list[aiohappyeyeballs.AddrInfoType] = []
        self._resolved_at = 0.0
        self._sweep: asyncio.TimerHandle | None = None
        self.idle: deque[Connection] = deque()
        """Connections that wait for a request, the one that was used last at the end."""
        self.in_hand: set[Connection] = set()
        """Connections that somebody took and did not give back yet."""

    async def take(self) -> Connection:
        """Return an idle connection or a new one, to be given back in any case.

        Raises:
            NotConnectedError: none could be had in time.
        """
        connection = None if self._free.locked() else self._take_idle()
        if connection is None:
            connection = await self._wait_for_one()
        else:
            await self._free.acquire()  # at once, for it is not locked
        self.in_hand.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request if it is still usable."""
        self.in_hand.discard(connection)
        self._free.release()
        if connection.usable:
            self.idle.append(connection)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(self._keep_alive_seconds, self._close_rested)
        else:
            connection.close()

    def close(self) -> None:
        """Close every connection; what is under way ends without an answer."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in (*self.idle, *self.in_hand):
            connection.close("the client was closed")
        self.idle.clear()

    async def _wait_for_one(self) -> Connection:
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._free.acquire()
                try:
                    return self._take_idle() or await self._opened()
                except BaseException:
                    self._free.release()
                    raise
        except TimeoutError:
            raise NotConnectedError(f"connection timeout: none within {self._connect_seconds:g} s") from None
        except OSError as error:
            self._addresses.clear()  # the name may have moved
            raise NotConnectedError(f"Cannot connect to {self._host}:{self._port} ({error})") from None

    def _take_idle(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.usable and not self._rested(connection):
                return connection
            connection.close()
        return None

    def _rested(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.last_sent >= self._keep_alive_seconds

    def _close_rested(self) -> None:
        """Close what nobody used for long, and look again when the next one is due."""
        for connection in [one for one in self.idle if not one.usable or self._rested(one)]:
            self.idle.remove(connection)
            connection.close()
        self._sweep = None
        if self.idle:
            due = min(one.last_sent for one in self.idle) + self._keep_alive_seconds
            self._sweep = asyncio.get_running_loop().call_at(due, self._close_rested)

    async def _opened(self) -> Connection:
        loop = asyncio.get_running_loop()
        opened = await aiohappyeyeballs.start_connection(
            await self._resolved(), happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, loop=loop
        )
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = self._host if self._ssl_context else None
            _, connection = await loop.create_connection(
                Connection, sock=opened, ssl=self._ssl_context, server_hostname=name
            )
        except BaseException:
            opened.close()
            raise
        return connection

    async def _resolved(self) -> list[aiohappyeyeballs.AddrInfoType]:
        """Return the host's addresses; those who ask together share one lookup."""
        loop = asyncio.get_running_loop()
        async with self._resolving:
            if not self._addresses or loop.time() - self._resolved_at > ADDRESS_SECONDS:
                self._addresses = list(await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
                self._resolved_at = loop.time()
            return list(self._addresses)
