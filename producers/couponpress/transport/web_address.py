"""Checks which addresses a foreign URL may lead to, and masks the secrets in such a URL.

Two rules stand here. A picture of a catalog is fetched from public addresses only (`not_public`). A hook may also lead
to a private network or to this machine, but never to a link-local, multicast, unspecified or reserved address, nor to a
known metadata service of a cloud (`never_called`). An IPv6 address that stands for an IPv4 address is judged as both.

Everything here is a pure function over values. A name is judged where it is connected to, once it is resolved.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Metadata services whose address is not link-local: Alibaba Cloud, Oracle Cloud, Azure, AWS and Google over IPv6.
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"),
    )
)
#: IPv6 networks whose addresses end in an IPv4 address that the packet goes on to: RFC 4291, 6052, 2765.
_ENDS_IN_IPV4: Final = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "::ffff:0:0:0/96")))
#: Translates to IPv4 in ways that only its network knows (RFC 8215), so nobody can tell where it leads.
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
#: "This network" (RFC 1122): the system takes parts of it for this machine.
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_IPV6_UNSPECIFIED: Final = ipaddress.IPv6Address(0)
#: The hosts that always mean this machine. Only to them is plain http allowed for calls with secrets.
LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_IPV6_LOOPBACK: Final = ipaddress.IPv6Address(1)


def never_called(address: Address) -> str | None:
    """Return why an address must never be called, or None. Loopback and private networks are allowed.

    >>> never_called(ipaddress.ip_address("169.254.0.1")), never_called(ipaddress.ip_address("10.0.0.1"))
    ('a link-local address', None)
    """
    for one in _meanings(address):
        if one in _METADATA:
            return "the metadata service of a cloud"
        if one.is_link_local:
            return "a link-local address"
        if one.is_multicast:
            return "a multicast address"
        if one.is_unspecified or one in _THIS_NETWORK:
            return "an unspecified address"
        if _is_reserved(one):
            return "a reserved address"
    return None


def not_public(address: Address) -> str | None:
    """Return "no public address", or None if the address and any IPv4 address that it stands for are public.

    >>> not_public(ipaddress.ip_address("10.0.0.1")), not_public(ipaddress.ip_address("8.8.8.8"))
    ('no public address', None)
    """
    meanings = _meanings(address)
    if never_called(address) or not all(one.is_global for one in meanings):
        return "no public address"
    return None


def literal(host: str) -> Address | None:
    """Return the address that a host is spelt as, in every spelling that the system's resolver takes; None for a name.

    >>> literal("2130706433"), literal("0x7f.1"), literal("shop.example")
    (IPv4Address('127.0.0.1'), IPv4Address('127.0.0.1'), None)
    """
    text = unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".").strip("[]").rstrip(".")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fA-FxX.]+", text):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def shown_url(url: str) -> str:
    """Return a URL that can be shown: user name, password, query and fragment are masked.

    >>> shown_url("https://me:word@shop.example:8443/hook?token=1#x")
    'https://***@shop.example:8443/hook?***'
    """
    found = re.match(r"([^:/?#]*:)?(//)?([^/?#]*)([^?#]*)(.*)", url, re.DOTALL)
    scheme, slashes, authority, path, rest = found.groups("") if found else ("", "", "", "", url)
    _, at, host = authority.rpartition("@")
    return f"{scheme}{slashes}{'***@' if at else ''}{host}{path}{f'{rest[0]}***' if rest else ''}"


def host_of(url: str) -> str:
    """Return a URL's host, without brackets; empty when there is none.

    Raises:
        ValueError: its port or its brackets cannot be read.
    """
    parts = urlsplit(url)
    _ = parts.port
    return parts.hostname or ""


def _meanings(address: Address) -> list[Address]:
    """Return an address, and every IPv4 address that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    address = ipaddress.IPv6Address(int(address))  # without its zone
    if address in {_IPV6_UNSPECIFIED, _IPV6_LOOPBACK}:
        return [address]
    inner: list[Address] = []
    if any(address in network for network in _ENDS_IN_IPV4):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    # A mapped address is nothing but its IPv4 address; the others are also addresses of their own.
    return inner if address.ipv4_mapped is not None else [*inner, address]


def _is_reserved(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_reserved or address in ipaddress.IPv4Network("192.0.0.0/24")
    if address == _IPV6_LOOPBACK or any(address in network for network in _ENDS_IN_IPV4[1:]):
        return False
    return address.is_reserved or address.is_site_local or address in _LOCAL_NAT64
