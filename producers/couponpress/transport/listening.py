"""Open the sockets that a service listens on, before it says that it is ready.

A port that is taken or that needs other rights, and a host name that nobody knows, are errors with a cure. `::` serves
IPv4 and IPv6 with one socket. `localhost` and other names get one socket for each of their addresses.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack

from couponpress.errors import ListenError, system_error

#: Connections that the system keeps for us until they are accepted; it may keep fewer (net.core.somaxconn).
BACKLOG = 2048
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not bound


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on a host's addresses; for port 0 the system picks one port, the same for all.

    Raises:
        ListenError: the port is taken or out of range, or the host is not this machine's; no socket is left open.
    """
    bare = host.strip("[]")
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # getaddrinfo names an address twice where the hosts file does.
        addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
        with ExitStack() as opened:
            sockets: list[socket.socket] = []
            for family, address in addresses:
                chosen = sockets[0].getsockname()[1] if sockets else port
                listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bare != "::"))
                listener.bind((address[0], chosen, *address[2:]))
                listener.listen(BACKLOG)
                sockets.append(listener)
            opened.pop_all()
            return sockets
    except (OSError, OverflowError) as error:
        reason = system_error(error) if isinstance(error, OSError) else str(error)
        raise ListenError(host, port, reason) from None


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return a URL under which this machine reaches a listening socket, also when it listens on every address."""
    host, port = listener.getsockname()[:2]
    host = _ANY.get(host, host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
