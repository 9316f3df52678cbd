"""The HTTP client of the platform: one method for each call of the API.

Every call sends one request and returns one value: the platform's `Answer`, or `NoAnswer` with whether anything was
sent. Nothing is repeated here.
Pages: pay.weixin.qq.com/doc/v3/partner/4017327752 (submit), .../4017327739 (query), .../4015781275 (upload),
.../4016435719 (notify URL), .../4015139289 (echo). The server closes idle connections after 8 s (wechatpay-java).
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Final, Literal, TypeAlias

import httpx

from couponpress.language import gettext, quoted
from couponpress.transport.proxy import ProxyRule
from couponpress_worker.wechatpay.account import PARTNER, Account
from couponpress_worker.wechatpay.auth import SignatureAuth
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer
from couponpress_worker.wechatpay.message import SignedRequest, header_lines
from couponpress_worker.wechatpay.multipart import picture_form
from couponpress_worker.wechatpay.response import read_answer
from couponpress_worker.wechatpay.signing import Signer, Verifier
from couponpress_worker.wechatpay.transport import NO_PROXIES, NOT_SENT, Gate, PlatformTransport

__all__ = ["PARTNER", "Account", "Gate", "NotSent", "Reason", "SignedRequest", "WeChatPay"]

#: Why a request was not sent. late: its slot passed. held: its brand, or every call of its kind, is held. in doubt: the
#: lease of its chunk is lost or not sure. stopping: its run or the process stops. breaker: it got no pass in time.
Reason: TypeAlias = Literal["late", "held", "in doubt", "stopping", "breaker"]

SUBMIT_TARGET: Final = PARTNER.submit_target
ECHO_TARGET: Final = "/v3/security/echo"
CERTIFICATES_TARGET: Final = "/v3/certificates"

#: Targets of these characters are the same before and after quoting, so that what is signed is what is sent.
_PLAIN_TARGET = re.compile(r"[0-9A-Za-z_/?&=.-]+")


class NotSent(Exception):  # noqa: N818 - the request is kept back, nothing failed
    """The gate kept the request back; no byte was written."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class WeChatPay:
    """The platform, as one partner or one brand sees it. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        base_url: str,
        signer: Signer,
        verifier: Verifier,
        *,
        fallback_urls: Sequence[str] = (),
        account: Account = PARTNER,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
        connections: int = 1000,
        connect_seconds: float = 5.0,
        answer_seconds: float = 10.0,
        upload_seconds: float = 60.0,
        keep_alive_seconds: float = 5.0,
        proxies: ProxyRule = NO_PROXIES,
    ) -> None:
        """Keep the values; no connection is opened yet.

        Args:
            base_url: scheme and host, without a path.
            signer: the partner, or the brand.
            verifier: the platform's keys; the first of them is named to the platform as the one we can check.
            fallback_urls: scheme and host of those that are called while the first cannot be reached.
            account: which of the two it is: its paths, and what it sends.
            ssl_context: whom to trust; None trusts the system's authorities.
            clock: seconds since 1970.
            connections: the most that are open at once; a request beyond them waits for one.
            connect_seconds: for a free connection, the name, TCP and TLS together.
            answer_seconds: from the moment when the bytes leave to the end of the answer.
            upload_seconds: the same for an upload.
            keep_alive_seconds: how long an idle connection is used again; must stay below the platform's 8 s.
            proxies: says which proxy a host is called through; without it each is called directly.
        """
        self._account = account
        self._submit_target = account.submit_target
        self._verifier = verifier
        self._auth = SignatureAuth(signer, verifier, clock=clock)
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._upload_seconds = upload_seconds
        self.transport = PlatformTransport(
            base_url,
            fallback_urls=fallback_urls,
            ssl_context=ssl_context,
            connections=connections,
            connect_seconds=connect_seconds,
            keep_alive_seconds=keep_alive_seconds,
            proxies=proxies,
        )
        """What the requests go over; other httpx clients may use it as well."""
        self._headers = header_lines(
            [
                (b"Accept", b"application/json"),
                (b"Accept-Encoding", b"identity"),
                (b"User-Agent", f"couponpress/{version('couponpress')}".encode()),
                (b"Wechatpay-Serial", self._auth.serial.encode()),
            ]
        )
        self.skew_seconds: float | None = None
        """The platform's clock minus ours, as the last answer told it; None before the first."""

    def sign_submit(self, body: bytes) -> SignedRequest:
        """Return the request that submits a spec's stored body bytes, under a fresh timestamp and nonce."""
        return self._signed("POST", self._submit_target, self._account.sent(body))

    def submit(self, request: SignedRequest, gate: Gate | None = None) -> Awaitable[Answer | NoAnswer]:
        """Send a signed submit when the gate lets it pass.

        The gate is awaited with a connection in hand and nothing written; its return puts the bytes on the wire in
        the same turn of the event loop.

        Raises:
            NotSent: the gate's own; nothing was sent, and the connection is kept.
        """
        return self._exchange(request, gate, self._answer_seconds)

    async def query(
        self, task_id: str, brand_id: str, image_generation_type: str, gate: Gate | None = None
    ) -> Answer | NoAnswer:
        """Ask how a task stands.

        Raises:
            ValueError: an id holds a character that would have to be quoted.
            NotSent: the gate's own.
        """
        return await self._get(self._account.query_target(task_id, brand_id, image_generation_type), gate)

    async def notify_config(self, gate: Gate | None = None) -> Answer | NoAnswer:
        """Ask which callback URL the partner has set.

        Raises:
            NotSent: the gate's own.
        """
        return await self._get(self._account.notify_target, gate)

    async def set_notify_config(self, url: str) -> Answer | NoAnswer:
        """Set the callback URL: for every brand of the partner, every coupon event, and every other system of it."""
        return await self._post(self._account.notify_target, {"notify_url": url})

    async def echo(self, message: str, notify_url: str) -> Answer | NoAnswer:
        """Have the platform send a message back, in its answer and in a callback to `notify_url`."""
        return await self._post(ECHO_TARGET, {"echo_message": message, "notify_url": notify_url})

    async def certificates(self, verifier_of: Callable[[bytes], Verifier]) -> Answer | NoAnswer:
        """Ask for the platform's certificates; the list is checked with the verifier that is made from its bytes."""
        request = self._signed("GET", CERTIFICATES_TARGET)
        return await self._exchange(request, None, self._answer_seconds, verifier_of)

    async def upload(self, file_name: str, picture: bytes, gate: Gate | None = None) -> Answer | NoAnswer:
        """Store a picture at the platform; its answer carries `image_url` (an older page: `media_url`).

        The signature covers the `meta` part alone; the file is covered by the digest in it.

        Raises:
            InputError: the platform takes no such picture.
            NotSent: the gate's own.
        """
        form = picture_form(file_name, picture)
        request = self._signed(
            "POST", self._account.upload_target, form.body, signed=form.meta, content_type=form.content_type
        )
        return await self._exchange(request, gate, self._upload_seconds)

    async def aclose(self) -> None:
        """Close every connection. An exchange under way ends as `NoAnswer`."""
        await self.transport.aclose()

    async def _post(self, target: str, content: Mapping[str, str]) -> Answer | NoAnswer:
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._exchange(self._signed("POST", target, body), None, self._answer_seconds)

    async def _get(self, target: str, gate: Gate | None) -> Answer | NoAnswer:
        if not _PLAIN_TARGET.fullmatch(target):
            raise ValueError(
                gettext("%(target)s cannot be asked for: its ids may hold digits, letters, _ and - only.")
                % {"target": quoted(target)}
            )
        return await self._exchange(self._signed("GET", target), gate, self._answer_seconds)

    def _signed(
        self,
        method: Literal["GET", "POST"],
        target: str,
        body: bytes = b"",
        *,
        signed: bytes | None = None,
        content_type: str = "application/json",
    ) -> SignedRequest:
        """Return a request for a path with its query, whose signature covers `signed`, or its body if that is None."""
        authorization = self._auth.authorization(method, target, body if signed is None else signed)
        sent = None if method == "GET" else body
        return SignedRequest(method, target, self._headers, authorization, sent, content_type)

    async def _exchange(
        self,
        request: SignedRequest,
        gate: Gate | None,
        seconds: float,
        verifier_of: Callable[[bytes], Verifier] | None = None,
    ) -> Answer | NoAnswer:
        try:
            response = await self.transport.exchange(request, gate, answer_seconds=seconds)
        except NOT_SENT as error:
            return NoAnswer("not_sent", f"{error}")
        except httpx.TransportError as error:
            return NoAnswer("open", f"{error}")
        verifier = verifier_of(response.body) if verifier_of else self._verifier
        answer = read_answer(response, verifier, now=self._clock())
        if answer.skew_seconds is not None:
            self.skew_seconds = answer.skew_seconds
        return answer
