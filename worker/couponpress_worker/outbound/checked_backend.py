"""Connects to a host: looks its name up, checks every address found, and goes to a checked one, or asks a proxy to.

This is a network backend, the lowest layer of httpx's client (httpcore). The checks stand here because the tunnel of
httpx itself would verify the server's certificate for the address instead of the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import httpcore

from couponpress.transport.proxy import (
    ANSWER_LIMIT_BYTES,
    ANSWER_SECONDS,
    Proxy,
    connect_objection,
    connect_request,
    stalled,
    unreachable,
)
from couponpress.transport.web_address import Address, literal

#: How long one address of a host may take to answer when the host has others.
NEXT_ADDRESS_SECONDS: Final = 2.0
Resolve = Callable[[str, int], Awaitable[list[str]]]
#: Returns what forbids to call an address, or None.
Forbids = Callable[[Address], str | None]
SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class RefusedAddressError(OSError):
    """A name leads to an address that may not be called."""

    def __init__(self, host: str, address: Address, what: str) -> None:
        said = f"{host} leads to {address}, which is {what}"  # translated where it is shown: library_sentences
        super().__init__(said)
        self.address = address


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to hosts: looks the name up, checks what it found, and goes there, or asks a proxy to."""

    def __init__(
        self,
        proxy: Proxy | None,
        forbids: Forbids | None,
        resolve: Resolve,
        backend: httpcore.AsyncNetworkBackend,
        *,
        proxy_resolves: bool = False,
    ) -> None:
        self._proxy = proxy
        self._forbids = forbids
        self._resolve = resolve
        self._backend = backend
        self._proxy_resolves = proxy_resolves or forbids is None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to a host; one of its addresses after the other is tried.

        Raises:
            RefusedAddressError: an address of the host may not be called; nothing was connected to.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address answers.
            httpcore.ProxyError: the proxy cannot be reached, or opens no connection.
        """
        if self._proxy is not None and self._proxy_resolves:
            if (given := literal(host)) is not None:
                self._check(host, given)
            return await self._through(self._proxy, host, port)
        addresses = await self._checked(host, port)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for number, address in enumerate(addresses, start=1):
            seconds = timeout if number == len(addresses) else NEXT_ADDRESS_SECONDS
            try:
                if self._proxy is not None:
                    return await self._through(self._proxy, address, port)
                return await self._backend.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be looked up ({error})") from error
        for one in addresses:
            self._check(host, ipaddress.ip_address(one))
        return addresses

    def _check(self, host: str, address: Address) -> None:
        what = self._forbids(address) if self._forbids else None
        if what:
            raise RefusedAddressError(host, address, what)

    async def _through(self, proxy: Proxy, host: str, port: int) -> httpcore.AsyncNetworkStream:
        """Return a connection that a proxy opened.

        Raises:
            httpcore.ProxyError: the proxy cannot be reached, or opens none.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                stream = await self._backend.connect_tcp(proxy.host, proxy.port)
        except (TimeoutError, httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise httpcore.ProxyError(unreachable(proxy, str(error) or type(error).__name__)) from error
        head = b""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await stream.write(connect_request(proxy, host, port))
                while b"\r\n\r\n" not in head and len(head) <= ANSWER_LIMIT_BYTES:
                    part = await stream.read(4096)
                    if not part:
                        break
                    head += part
            objection = connect_objection(proxy, head)
        except TimeoutError:
            objection = stalled(proxy)
        except (httpcore.ReadError, httpcore.WriteError):
            objection = connect_objection(proxy, head)
        except BaseException:  # cancelled: the deadline of the whole call
            await stream.aclose()
            raise
        if objection is not None:
            await stream.aclose()
            raise httpcore.ProxyError(objection)
        return stream


async def resolve_name(host: str, port: int) -> list[str]:
    """Ask the system for a host's addresses, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]
