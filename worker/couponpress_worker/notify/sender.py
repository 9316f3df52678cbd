"""Calls targets: one POST, bounded in time and size, to checked addresses only, and what came of it.

A robot's URL may lead to this machine or into a private network where a stand-in or a gateway is, but never to a
link-local, multicast, unspecified or reserved address (`transport.web_address.never_called`). Redirects are not
followed. Once the request is on its way and no answer comes, nobody knows whether it was told, and the verdict is
`unknown`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import httpx

from couponpress.language import Language, gettext, speaking
from couponpress.library_sentences import in_words as library_words
from couponpress.notify.target import Target
from couponpress.transport.proxy import ProxyRule
from couponpress.transport.web_address import never_called
from couponpress_worker.completion.run_webhooks import signature_headers
from couponpress_worker.notify import dingtalk, feishu, webhook, wecom
from couponpress_worker.notify.answer import Answer
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.sentences import message_of
from couponpress_worker.outbound.checked_backend import Forbids, RefusedAddressError, Resolve
from couponpress_worker.outbound.client import client

#: For each step of a call, and for the whole of it.
STEP_SECONDS: Final = 5.0
CALL_SECONDS: Final = 15.0
AT_ONCE: Final = 8
_ANSWER_BYTES: Final = 65_536
#: Between two messages to one target, by its kind.
GAPS_SECONDS: Final = {
    "wecom": wecom.GAP_SECONDS,
    "dingtalk": dingtalk.GAP_SECONDS,
    "feishu": feishu.GAP_SECONDS,
    "webhook": 0.0,
}
#: How many occurrences one message tells of, by the kind of its target.
MOST_AT_ONCE: Final = {"wecom": 20, "dingtalk": 20, "feishu": 20, "webhook": 1}


class Sender:
    """Tells targets; belongs to the event loop in which it is first used."""

    def __init__(
        self,
        mchid: str,
        language: Language,
        *,
        rule: ProxyRule | None = None,
        forbids: Forbids = never_called,
        resolve: Resolve | None = None,
        step_seconds: float = STEP_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Keep the values; nothing is opened yet.

        Args:
            mchid: whose fleet it is.
            language: of targets that name none.
            rule: which proxy a URL goes through; None goes directly.
            forbids: says which addresses are never called.
            resolve: looks names up; None asks the system.
            step_seconds: for each step of a call: connect, write, read.
            now: this machine's clock, which signatures are made with.
        """
        self._mchid = mchid
        self._language = language
        self._now = now
        self._client = client(
            rule=rule or ProxyRule(),
            forbids=forbids,
            connections=AT_ONCE,
            seconds=step_seconds,
            headers={"User-Agent": "couponpress", "Content-Type": "application/json; charset=utf-8"},
            resolve=resolve,
        )

    async def aclose(self) -> None:
        """Close every connection; to be called when no call is under way."""
        await self._client.aclose()

    async def send(self, target: Target, occurrences: Sequence[Occurrence]) -> Answer:
        """Tell a target of some occurrences in one message; the answer's words are in the current language."""
        with speaking(target.language or self._language):
            message = message_of(occurrences, self._mchid, target.console_url)
            url, headers = target.url, {}
            match target.kind.name:
                case "wecom":
                    body = wecom.body_of(message)
                case "dingtalk":
                    url, body = dingtalk.signed_url(url, target.secret, self._now()), dingtalk.body_of(message)
                case "feishu":
                    body = feishu.body_of(message, target.secret, self._now())
                case _:
                    body = webhook.body_of(occurrences[0], message, self._mchid)
                    headers = signature_headers(target.secret or b"", int(self._now()), body)
        return await self._call(target, url, headers, body)

    async def _call(self, target: Target, url: str, headers: dict[str, str], body: bytes) -> Answer:
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._client.stream("POST", url, content=body, headers=headers) as response,
            ):
                read = b""
                async for part in response.aiter_bytes():
                    if len(read := read + part) > _ANSWER_BYTES:
                        break
                return _answer_of(target.kind.name, response.status_code, read)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout) as error:
            return Answer(
                "later", _words(error), gettext("see whether this machine reaches %(url)s") % {"url": target.shown}
            )
        except RefusedAddressError as error:
            return Answer(
                "refused",
                gettext("not called: %(error)s") % {"error": library_words(error)},
                gettext("name another URL"),
            )
        except (TimeoutError, httpx.TimeoutException):
            return Answer("unknown", gettext("no answer in time"))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Answer("unknown", _words(error))


def _answer_of(kind: str, status: int, body: bytes) -> Answer:
    match kind:
        case "wecom":
            return wecom.answer_of(status, body)
        case "dingtalk":
            return dingtalk.answer_of(status, body)
        case "feishu":
            return feishu.answer_of(status, body)
        case _:
            return webhook.answer_of(status)


def _words(error: Exception) -> str:
    return library_words(error) or type(error).__name__
