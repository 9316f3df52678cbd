"""Passes callbacks of other kinds on to another system of the same partner: their bytes and headers as they came.

Decides how long that may take, how many may be on their way, and what the platform is told when it fails. Refuses to
know what they say, other than their id: what the other system took is not passed on again when the platform repeats it,
as far as Redis tells. What it did not take is repeated by the platform, so it may still see the same notice twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import redis.exceptions

from couponpress.ledger.notices import NoticeLedger

log = logging.getLogger(__name__)

#: The platform waits 5 s for an answer; the passing on must leave time for ours.
FORWARD_SECONDS = 4.0
#: How many may be on their way at once; one more is refused at once, and comes again.
MOST_UNDER_WAY = 200
#: Headers of the connection, not of the message; the client writes its own.
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

#: How a notice is named; what names itself otherwise is passed on each time.
_NOTICE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Forwarder:
    """Passes callbacks on to one URL; belongs to the event loop in which it is first used."""

    def __init__(self, url: str, *, seconds: float = FORWARD_SECONDS, most_under_way: int = MOST_UNDER_WAY) -> None:
        self._url = url
        self._seconds = seconds
        self._most_under_way = most_under_way
        self._under_way = 0
        self._session: aiohttp.ClientSession | None = None

    async def forward(self, headers: Mapping[str, str], body: bytes) -> int:
        """Pass one callback on. Returns the status to answer the platform with: 502, 503 or 504 for a failure here."""
        if self._under_way >= self._most_under_way:
            return 503
        kept = {name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION}
        self._under_way += 1
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._opened().post(self._url, data=body, headers=kept, allow_redirects=False) as answer,
            ):
                # Only these two are success to the platform, and a redirect cannot be followed by it either.
                return answer.status if answer.status in {200, 204} or answer.status >= 400 else 502
        except TimeoutError:
            log.warning("a callback was not passed on within %g s, the platform will repeat it", self._seconds)
            return 504
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("a callback could not be passed on, the platform will repeat it: %s", error)
            return 502
        finally:
            self._under_way -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._most_under_way),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


class ForwardedOnce:
    """Passes on what the other system has not taken yet; without Redis everything, for twice is better than never."""

    def __init__(self, forward: Callable[[Mapping[str, str], bytes], Awaitable[int]], notices: NoticeLedger) -> None:
        self._forward = forward
        self._notices = notices

    async def forward(self, headers: Mapping[str, str], body: bytes) -> int:
        """Return the status to answer the platform with: 204 for what was taken before."""
        notice_id = _notice_id(body)
        if notice_id is None:
            return await self._forward(headers, body)
        try:
            if await self._notices.was_passed_on(notice_id):
                return 204
        except redis.exceptions.RedisError as error:
            log.warning("a callback is passed on, perhaps again: %s", error)
        status = await self._forward(headers, body)
        if 200 <= status < 300:
            try:
                await self._notices.note_passed_on(notice_id)
            except redis.exceptions.RedisError as error:  # its receiver has it; it need not come again for this
                log.warning("a callback that was passed on may be passed on again: %s", error)
        return status


def _notice_id(body: bytes) -> str | None:
    try:
        told = json.loads(body)["id"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return told if isinstance(told, str) and _NOTICE_ID.fullmatch(told) else None
