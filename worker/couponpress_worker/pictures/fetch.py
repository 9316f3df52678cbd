"""Fetches a picture from a URL that somebody else wrote into a catalog, guarded.

Decides what is fetched at all: http and https, from public addresses only unless allowed, of a picture's content type,
within a size and a time. Refuses to know what the picture is for.

A host name may lead anywhere, into a private network or to a cloud's metadata service. So every address that a name
leads to is checked, and the connection goes to one of the checked addresses, not to a name that is looked up again.
Redirects are followed here, so that each passes the same checks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from couponpress.errors import PictureError

FETCH_SECONDS: Final = 30.0
REDIRECTS: Final = 5
TRIES: Final = 3
_REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
#: Servers that do not know a file's type say one of the last two.
_CONTENT_TYPES: Final = ("image/", "application/octet-stream", "binary/octet-stream")
_ALLOWED_BY: Final = "--private-urls allows it, or private_urls = true in a schedule"
#: Translates to IPv4 addresses, whatever those are (RFC 6052).
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """A name leads to an address that is not public."""


class Fetcher:
    """Fetches pictures; belongs to the event loop in which it is first used."""

    def __init__(self, *, private_urls: bool = False, seconds: float = FETCH_SECONDS, connections: int = 24) -> None:
        """Keep the values; nothing is opened yet.

        Args:
            private_urls: fetch from addresses that are not public too.
            seconds: for one picture, redirects included, one try.
            connections: the most that are open at once; at most 8 of them to one host.
        """
        self._private_urls = private_urls
        self._seconds = seconds
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, limit_bytes: int) -> bytes:
        """Return what the URL leads to.

        Raises:
            PictureError: it may not be fetched, is no picture by its content type, or has more than `limit_bytes`;
                or three tries failed.
        """
        for number in range(1, TRIES + 1):
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._followed(url, limit_bytes)
            except PrivateAddressError as error:
                raise PictureError(f"is not fetched: {error}; {_ALLOWED_BY}") from None
            except (aiohttp.InvalidURL, ValueError) as error:
                raise PictureError(f"is no URL that can be fetched ({error})") from None
            except TimeoutError:
                what = f"no whole picture within {self._seconds:g} s"
            except _TryAgainError as error:
                what = str(error)
            except (aiohttp.ClientError, OSError) as error:
                refused = _cause(error)
                if refused is not None:
                    raise PictureError(f"is not fetched: {refused}; {_ALLOWED_BY}") from None
                what = f"{error}" or type(error).__name__
            if number < TRIES:
                await asyncio.sleep(number)
        raise PictureError(f"cannot be fetched ({what})")

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _followed(self, url: str, limit_bytes: int) -> bytes:
        for _ in range(REDIRECTS + 1):
            found = await self._answer(self._checked(url), limit_bytes)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise PictureError(f"leads from one address to another more than {REDIRECTS} times")

    def _checked(self, url: str) -> URL:
        parsed = URL(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise PictureError("must be an http(s) URL, also where it is redirected to")
        if parsed.user is not None or parsed.password is not None:
            raise PictureError("must not hold a user name or a password")
        if not self._private_urls:  # aiohttp asks no resolver about an address
            try:
                address = ipaddress.ip_address(parsed.host)
            except ValueError:
                return parsed
            require_public(parsed.host, address)
        return parsed

    async def _answer(self, url: URL, limit_bytes: int) -> bytes | str:
        """Return the picture, or where the answer redirects to."""
        async with self._opened().get(url, allow_redirects=False) as response:
            if response.status in _REDIRECT_STATUSES and "Location" in response.headers:
                return response.headers["Location"]
            if response.status >= 500 or response.status in {408, 429}:
                raise _TryAgainError(f"answered with status {response.status}")
            if response.status != 200:
                raise PictureError(f"cannot be fetched (answered with status {response.status})")
            content_type = response.headers.get("Content-Type", "application/octet-stream").lower()
            if not content_type.startswith(_CONTENT_TYPES):
                raise PictureError(f"is no picture: it is answered as {content_type[:60]!r}")
            if (response.content_length or 0) > limit_bytes:
                raise _too_large(limit_bytes)
            content = bytearray()
            async for part in response.content.iter_chunked(65_536):
                content += part
                if len(content) > limit_bytes:
                    raise _too_large(limit_bytes)
            return bytes(content)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = None if self._private_urls else PublicResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, limit=self._connections, limit_per_host=8),
                headers={"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "couponpress"},
                auto_decompress=False,  # what unpacks may be far larger than what was sent
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


class PublicResolver(AbstractResolver):
    """Looks names up, and refuses one that leads to any address that is not public."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            PrivateAddressError: one of them is not public.
            OSError: the name is not known.
        """
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            require_public(host, ipaddress.ip_address(one["host"].partition("%")[0]))
        return found

    async def close(self) -> None:
        """Nothing is open."""


def require_public(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Let pass what is routed in the public internet.

    Raises:
        PrivateAddressError: loopback, private, link-local, multicast, reserved, or one that translates to such.
    """
    inner: ipaddress.IPv4Address | None = None
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    for one in (address, inner):
        if one is not None and (not one.is_global or one.is_multicast or one.is_reserved):
            raise PrivateAddressError(f"{host} leads to {address}, which is no public address")


class _TryAgainError(Exception):
    """The far end may answer better a moment later."""


def _cause(error: BaseException) -> PrivateAddressError | None:
    """Return the refusal that aiohttp wrapped into an error of its own."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, PrivateAddressError):
        seen = getattr(seen, "os_error", None) or seen.__cause__
    return seen


def _too_large(limit_bytes: int) -> PictureError:
    return PictureError(f"has more than {limit_bytes / 2**20:.0f} MB")
