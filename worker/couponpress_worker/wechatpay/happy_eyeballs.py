"""Opens TCP to a host by the first of its addresses that answers, as RFC 8305 ("Happy Eyeballs") describes.

uvloop's `create_connection` tries one address after the other, so a silent one would use up the time of all others. The
race itself is asyncio's own, `asyncio.staggered`.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio.staggered import staggered_race
from functools import partial
from itertools import zip_longest
from typing import Final, TypeAlias

#: How long a lookup of the host's name is used. In an outage the name may move to other addresses.
ADDRESS_SECONDS: Final = 10.0
#: When an address does not answer for this long, the next one is tried at the same time (RFC 8305 section 5).
NEXT_ADDRESS_SECONDS: Final = 0.25

#: An IPv4 or IPv6 socket address.
_At: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
#: An address as `getaddrinfo` returns it: family, type, protocol, canonical name, socket address.
Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, _At]


class Addresses:
    """The addresses of one host, looked up again when they are old or when connecting failed."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._lookup = asyncio.Lock()
        self._found: list[Address] = []
        self._found_at = 0.0

    async def connect(self) -> socket.socket:
        """Return a connected, non-blocking socket.

        Raises:
            OSError: the name cannot be looked up, or no address can be connected to.
        """
        try:
            return await first_connected(await self._resolved())
        except OSError:
            self._found.clear()
            raise

    async def _resolved(self) -> list[Address]:
        """Return the host's addresses. Callers that ask at the same time share one lookup."""
        loop = asyncio.get_running_loop()
        async with self._lookup:
            if not self._found or loop.time() - self._found_at > ADDRESS_SECONDS:
                try:
                    self._found = list(await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
                except UnicodeError as error:  # a part of the name is empty or too long
                    raise OSError(str(error)) from error
                self._found_at = loop.time()
            return list(self._found)


async def first_connected(addresses: list[Address], delay_seconds: float = NEXT_ADDRESS_SECONDS) -> socket.socket:
    """Return a socket that is connected to one of the addresses.

    They are tried in turn: the next one when one fails or gives no answer for `delay_seconds`.

    Raises:
        OSError: no address can be connected to.
    """
    if len(addresses) == 1:  # a race of one leaves a hundred objects to the garbage collector
        return await _connected(addresses[0])
    attempts = [partial(_connected, one) for one in in_turn(addresses)]
    connected, _, failures = await staggered_race(attempts, delay_seconds)
    if isinstance(connected, socket.socket):
        return connected
    raise OSError("; ".join(dict.fromkeys(str(one) for one in failures)))


def in_turn(addresses: list[Address]) -> list[Address]:
    """Return the addresses with their families alternating, the system's first choice first (RFC 8305 section 4)."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [one for some in zip_longest(*families.values()) for one in some if one is not None]


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, _, at = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, at)
    except BaseException:
        opened.close()
        raise
    return opened
