"""Tells other programs that a run is finished: one signed POST to the run's hook, repeated until it is taken.

An answer of 2xx means that it was taken, 410 that nobody wants it any more. Everything else is tried again later, a
redirect too. What is still to be told is in Redis, so it outlives every process. A hook may lead into a private
network, but never to a link-local, multicast, unspecified or reserved address: each address of its host is checked
before the connection. The log shows a hook without its query, user name and password. The receiver's page is
`docs/hooks.md`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from dataclasses import asdict
from typing import Final

import httpx

from couponpress.ledger.hooks import DueHook, HookLedger
from couponpress.transport.proxy import ProxyRule
from couponpress.transport.web_address import never_called, shown_url
from couponpress_worker.outbound.checked_backend import Forbids, RefusedAddressError, Resolve
from couponpress_worker.outbound.client import client

log = logging.getLogger(__name__)

EVENT: Final = "run.finished"
POST_SECONDS: Final = 5.0
#: How many are told at once.
AT_ONCE: Final = 16
#: After the first try in vain, and what it doubles to.
FIRST_DELAY_SECONDS: Final = 2
LONGEST_DELAY_SECONDS: Final = 3600
UNSIGNED: Final = "COUPONPRESS_HOOK_SECRET_FILE is not set"
#: How often it is looked whether there is a secret now.
WITHOUT_SECRET_SECONDS: Final = 60


class HookSender:
    """Tells of finished runs; one per process, busy only while the process leads."""

    def __init__(
        self,
        ledger: HookLedger,
        *,
        mchid: str,
        secret: bytes | None,
        rule: ProxyRule | None = None,
        forbids: Forbids = never_called,
        resolve: Resolve | None = None,
        seconds: float = POST_SECONDS,
    ) -> None:
        """Keep the values; nothing is opened yet.

        Args:
            ledger: the hooks that are due.
            mchid: whose runs these are.
            secret: signs; without one nothing is sent, and the log says so.
            rule: which proxy a URL goes through; None goes directly.
            forbids: says which addresses are never called.
            resolve: looks names up; None asks the system.
            seconds: for one POST.
        """
        self._ledger = ledger
        self._mchid = mchid
        self._secret = secret
        self._seconds = seconds
        self._client = client(
            rule=rule or ProxyRule(),
            forbids=forbids,
            connections=AT_ONCE,
            seconds=seconds,
            headers={"User-Agent": "couponpress"},
            resolve=resolve,
        )

    def renew(self, secret: bytes | None) -> None:
        """Sign with another secret from now on."""
        self._secret = secret

    async def round(self) -> None:
        """Tell of every run that is due; to be called about once a second."""
        await asyncio.gather(*map(self._tell, await self._ledger.due(AT_ONCE)))

    async def aclose(self) -> None:
        """Close every connection; to be called when no round is under way."""
        await self._client.aclose()

    async def _tell(self, hook: DueHook) -> None:
        if self._secret is None:
            log.error("run %s is finished, but %s: not told", hook.status.run, UNSIGNED)
            await self._ledger.not_told(hook, WITHOUT_SECRET_SECONDS * 1000, UNSIGNED)
            return
        objection = await self._objection(hook, self._secret)
        if objection is None:
            log.info("told that run %s is finished", hook.status.run)
            await self._ledger.told(hook)
        else:
            delay_seconds = hook_delay_seconds(hook.tries)
            shown = shown_url(hook.url)
            log.warning(
                "nobody took it at %s that run %s is finished (%s); again in %d s",
                shown,
                hook.status.run,
                objection,
                delay_seconds,
            )
            await self._ledger.not_told(hook, delay_seconds * 1000, objection)

    async def _objection(self, hook: DueHook, secret: bytes) -> str | None:
        """POST, and return why it was not taken; None when it was, or when nobody wants it."""
        body = hook_body(hook, self._mchid)
        headers = {"Content-Type": "application/json", **signature_headers(secret, int(time.time()), body)}
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream("POST", hook.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer within {self._seconds:g} s"
        except RefusedAddressError as error:
            return f"not called: {error}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return str(error) or type(error).__name__
        if 200 <= status < 300 or status == 410:
            return None
        return f"status {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")


def hook_body(hook: DueHook, mchid: str) -> bytes:
    """Return what is told: the run's status as `couponpress status RUN --json` shows it, and an id of this finish.

    The run of a schedule's night also tells what the night found in its source. Every repetition has the same id.
    """
    told = {"event": EVENT, "id": f"{mchid}:{hook.number}:{hook.finished_ms}", **asdict(hook.status), "finished": True}
    if hook.figures:
        told["schedule"] = json.loads(hook.figures)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def signature_headers(secret: bytes, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the two headers that prove who sent a body, and when (seconds since 1970).

    HMAC-SHA256 over the timestamp's digits, a full stop and the body's bytes, in hex.
    """
    signature = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Couponpress-Timestamp": str(timestamp), "Couponpress-Signature": f"sha256={signature}"}


def hook_delay_seconds(tries: int) -> int:
    """Return how long to wait after one more try in vain; `tries` were made before it.

    >>> hook_delay_seconds(0), hook_delay_seconds(3), hook_delay_seconds(99)
    (2, 16, 3600)
    """
    return min(FIRST_DELAY_SECONDS << min(tries, 12), LONGEST_DELAY_SECONDS)
