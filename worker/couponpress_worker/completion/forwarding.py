"""Passes callbacks of other kinds on to another system of the same partner: their bytes and headers as they came.

The other system has a few seconds to answer, and a bounded number of callbacks is on the way at once. When it fails,
the platform hears so and repeats the callback. What the other system took is not passed on again when the platform
repeats it, as far as Redis knows; otherwise it may see a callback twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import httpx
import redis.exceptions

from couponpress.ledger.notices import NoticeLedger
from couponpress.transport.proxy import ProxyRule
from couponpress_worker.outbound.client import client

log = logging.getLogger(__name__)

#: The platform waits 5 s for an answer; the passing on must leave time for ours.
FORWARD_SECONDS = 4.0
#: How many may be on their way at once; one more is refused at once, and comes again.
MOST_UNDER_WAY = 200
#: Connections of one client; httpx's pool becomes slow with many.
OF_ONE_CLIENT = 25
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

    def __init__(
        self,
        url: str,
        *,
        rule: ProxyRule | None = None,
        seconds: float = FORWARD_SECONDS,
        most_under_way: int = MOST_UNDER_WAY,
    ) -> None:
        """Keep the values; nothing is opened yet.

        Args:
            url: the other system, which may be anywhere: whoever runs the fleet named it.
            rule: which proxy it is reached through; None goes directly.
            seconds: for one callback.
            most_under_way: how many may be on their way at once.
        """
        self._url = url
        self._seconds = seconds
        self._most_under_way = most_under_way
        self._under_way = 0
        count = -(-most_under_way // OF_ONE_CLIENT)
        self._clients = deque(
            client(rule=rule or ProxyRule(), connections=OF_ONE_CLIENT, seconds=seconds) for _ in range(count)
        )

    async def forward(self, headers: Mapping[str, str], body: bytes) -> int:
        """Pass one callback on. Returns the status to answer the platform with: 502, 503 or 504 for a failure here."""
        if self._under_way >= self._most_under_way:
            return 503
        kept = {name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION}
        self._clients.rotate()
        self._under_way += 1
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._clients[0].stream("POST", self._url, content=body, headers=kept) as answer,
            ):
                # Only these two are success to the platform, and a redirect cannot be followed by it either.
                status = answer.status_code
                return status if status in {200, 204} or status >= 400 else 502
        except (TimeoutError, httpx.TimeoutException):
            log.warning("a callback was not passed on within %g s, the platform will repeat it", self._seconds)
            return 504
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            log.warning("a callback could not be passed on, the platform will repeat it: %s", error)
            return 502
        finally:
            self._under_way -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        for one in self._clients:
            await one.aclose()


class ForwardedOnce:
    """Passes on what the other system has not taken yet; everything while Redis is away, for twice beats never."""

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
