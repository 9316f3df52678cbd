"""Fetches a picture from a URL that somebody else wrote into a catalog.

Only http and https URLs are fetched, of a picture's content type, within a size and a time. Addresses must be public or
of a private network where that is allowed; link-local, multicast and reserved ones are never called. `outbound` checks
every address that a host's name has and connects to a checked one. Redirects are followed here, a few of them, and each
passes the same checks. A server or a proxy that fails is tried again twice.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from typing import Final
from urllib.parse import urljoin

import httpx

from couponpress.errors import PictureError
from couponpress.language import gettext, gettext_noop, quoted
from couponpress.library_sentences import in_words as library_words
from couponpress.transport.proxy import ProxyRule
from couponpress.transport.web_address import never_called, not_public
from couponpress_worker.outbound.checked_backend import Forbids, RefusedAddressError, Resolve
from couponpress_worker.outbound.client import client

FETCH_SECONDS: Final = 30.0
REDIRECTS: Final = 5
TRIES: Final = 3
#: The most connections to one host at once.
TO_ONE_HOST: Final = 8
_REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
#: Servers that do not know the type of a file send one of the last two.
_CONTENT_TYPES: Final = ("image/", "application/octet-stream", "binary/octet-stream")
_ALLOWED_BY: Final = gettext_noop("--private-urls allows it, or private_urls = true in a schedule")
_HEADERS: Final = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "couponpress"}


class Fetcher:
    """Fetches pictures; belongs to the event loop in which it is first used."""

    def __init__(
        self,
        *,
        private_urls: bool = False,
        rule: ProxyRule | None = None,
        seconds: float = FETCH_SECONDS,
        connections: int = 24,
        forbids: Forbids = not_public,
        resolve: Resolve | None = None,
    ) -> None:
        """Keep the values; nothing is opened yet.

        Args:
            private_urls: fetch from private networks too; a proxy then looks names up.
            rule: which proxy a URL goes through; None goes directly.
            seconds: for one picture, redirects included, one try.
            connections: the most that are open at once; at most TO_ONE_HOST of them to one host.
            forbids: says which addresses are not fetched from, unless `private_urls`.
            resolve: looks names up; None asks the system.
        """
        self._seconds = seconds
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(TO_ONE_HOST))
        self._client = client(
            rule=rule or ProxyRule(),
            forbids=never_called if private_urls else forbids,
            proxy_resolves=private_urls,
            connections=connections,
            seconds=seconds,
            headers=_HEADERS,
            resolve=resolve,
        )

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
            except RefusedAddressError as error:
                if never_called(error.address):  # whatever is allowed
                    raise PictureError(gettext("is not fetched: %(error)s") % {"error": library_words(error)}) from None
                raise PictureError(
                    gettext("is not fetched: %(error)s; %(cure)s")
                    % {"error": library_words(error), "cure": gettext(_ALLOWED_BY)}
                ) from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
                raise PictureError(gettext("is no URL that can be fetched (%(error)s)") % {"error": error}) from None
            except (TimeoutError, httpx.TimeoutException):
                what = gettext("no whole picture within %(seconds)s s") % {"seconds": f"{self._seconds:g}"}
            except (_TryAgainError, httpx.HTTPError, OSError) as error:
                what = library_words(error) or type(error).__name__
            if number < TRIES:
                await asyncio.sleep(number)
        raise PictureError(gettext("cannot be fetched (%(what)s)") % {"what": what})

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _followed(self, url: str, limit_bytes: int) -> bytes:
        for _ in range(REDIRECTS + 1):
            parsed = _checked(url)
            async with self._hosts[parsed.host]:
                found = await self._answer(parsed, limit_bytes)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise PictureError(
            gettext("leads from one address to another more than %(times)s times") % {"times": REDIRECTS}
        )

    async def _answer(self, url: httpx.URL, limit_bytes: int) -> bytes | str:
        """Return the picture, or where the answer redirects to."""
        async with self._client.stream("GET", url) as response:
            status, headers = response.status_code, response.headers
            if status in _REDIRECT_STATUSES and "Location" in headers:
                return headers["Location"]
            if status >= 500 or status in {408, 429}:
                raise _TryAgainError(gettext("answered with status %(status)s") % {"status": status})
            if status != 200:
                raise PictureError(gettext("cannot be fetched (answered with status %(status)s)") % {"status": status})
            content_type = headers.get("Content-Type", "application/octet-stream").lower()
            if not content_type.startswith(_CONTENT_TYPES):
                raise PictureError(
                    gettext("is no picture: it is answered as %(kind)s") % {"kind": quoted(content_type[:60])}
                )
            coding = headers.get("Content-Encoding", "identity").strip().lower() or "identity"
            length = headers.get("Content-Length", "")
            if coding == "identity" and length.isdigit() and int(length) > limit_bytes:
                raise _too_large(limit_bytes)
            return await _content(response, coding, limit_bytes)


def _checked(url: str) -> httpx.URL:
    parsed = httpx.URL(url)
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise PictureError(gettext("must be an http(s) URL, also where it is redirected to"))
    if parsed.userinfo:
        raise PictureError(gettext("must not hold a user name or a password"))
    return parsed


async def _content(response: httpx.Response, coding: str, limit_bytes: int) -> bytes:
    """Return a body, unpacked where the server packed it although nobody asked, and never more than the limit of it.

    Raises:
        PictureError: it has more bytes, another coding than gzip, or is cut or damaged.
    """
    if coding not in {"identity", "gzip", "x-gzip"}:
        raise PictureError(
            gettext("cannot be fetched (its content coding is %(coding)s; serve it without one)")
            % {"coding": quoted(coding[:40])}
        )
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if coding != "identity" else None
    content = bytearray()
    try:
        async for part in response.aiter_raw():
            content += decoder.decompress(part, limit_bytes + 1 - len(content)) if decoder else part
            if len(content) > limit_bytes:
                raise _too_large(limit_bytes)
    except zlib.error as error:
        raise PictureError(
            gettext("cannot be fetched (its gzip coding is damaged: %(error)s)") % {"error": error}
        ) from None
    if decoder is not None and not decoder.eof:
        raise PictureError(gettext("cannot be fetched (its gzip coding is cut)"))
    return bytes(content)


class _TryAgainError(Exception):
    """The fetch failed in a way that a retry may cure."""


def _too_large(limit_bytes: int) -> PictureError:
    return PictureError(gettext("has more than %(most)s MB") % {"most": f"{limit_bytes / 2**20:.0f}"})
