"""Receives callbacks: verifies the raw bytes, opens them, drops repeats, completes the spec, answers within 5 s.

The answer is 2xx only when the callback is stored (or is not for us), 4xx when it does not verify, and 5xx when the
platform should repeat it. What was taken, and what was refused and why, is told to whoever listens. The signature
counts, not the sender's address. Rules: the event
PRODUCT_COUPON_SP.IMAGE_GENERATION (partner/4017327759), the general callback page (re-delivery every 60 s, at most 11
times, status outranks body), and the test notice SECURITY_ECHO.SUCCESS (partner/4019605946).
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import redis.exceptions
from structlog.contextvars import bound_contextvars

from couponpress_worker.completion.completer import Completer
from couponpress_worker.completion.sparse_log import SparseLog
from couponpress_worker.errors import DecryptError
from couponpress_worker.events import CallbackReceived, CallbackRefusal, CallbackRefused, CallbackResult, Tell, unheard
from couponpress_worker.wechatpay.signing import FRESHNESS_SECONDS, Verifier, unseal

log = logging.getLogger(__name__)

CALLBACK_PATH = "/wechatpay/callback"
#: The partner's event, and the name that the brand variant is believed to use.
IMAGE_EVENTS = frozenset({"PRODUCT_COUPON_SP.IMAGE_GENERATION", "PRODUCT_COUPON.IMAGE_GENERATION"})
ECHO_EVENT = "SECURITY_ECHO.SUCCESS"
#: What a signature covers, and the signature.
SIGNATURE_HEADERS = ("Timestamp", "Nonce", "Serial", "Signature")
#: How a signature begins that the platform sends to see whether it is checked.
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"
#: What the doctor's own test notices say; anybody else's are not ours.
ECHO_MESSAGE = re.compile(r"couponpress-doctor-[0-9a-f]{32}")
#: How a platform certificate names itself; a public key has no serial that could be fetched.
_SERIAL = re.compile(r"[0-9A-Fa-f]{16,64}")
#: Counts a callback by kind; passes on an event of another kind and returns its status; keeps the doctor's message.
Count = Callable[[str], Awaitable[None]]
Forward = Callable[[Mapping[str, str], bytes], Awaitable[int]]
NoteEcho = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a callback is answered: a status, and for a refusal the reason."""

    status: int
    message: str = ""

    @property
    def body(self) -> bytes:
        """The body that the platform's pages ask for: none when taken, code and message when not."""
        return json.dumps({"code": "FAIL", "message": self.message}).encode() if self.message else b""


TAKEN = Reply(204)


class CallbackReceiver:
    """Answers callbacks; everything it needs is handed in.

    Args:
        verifier: holds every key that the platform may sign with.
        apiv3_key: opens resources.
        completer: books completions.
        count: counts each callback by kind.
        note_echo: keeps the message of the doctor's test notice.
        forward: passes on events of other kinds; None acknowledges and counts them.
        missing: is told that a callback names a certificate that is not held.
        clock: seconds since 1970.
        tell: hears of each callback, whether it was taken.
    """

    def __init__(
        self,
        *,
        verifier: Verifier,
        apiv3_key: bytes,
        completer: Completer,
        count: Count,
        note_echo: NoteEcho,
        forward: Forward | None = None,
        missing: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
        tell: Tell = unheard,
    ) -> None:
        self._tell = tell
        self._verifier = verifier
        self._apiv3_keys = [apiv3_key]
        self._completer = completer
        self._count = count
        self._note_echo = note_echo
        self._forward = forward
        self._missing = missing
        self._clock = clock
        self.storing = True
        """Whether the last callback that came could be stored."""
        self._sparse = SparseLog(log)

    def renew(self, apiv3_key: bytes) -> None:
        """Open resources with another APIv3 key from now on, and with the former one what that does not open."""
        if apiv3_key != self._apiv3_keys[0]:
            self._apiv3_keys = [apiv3_key, self._apiv3_keys[0]]

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one callback. `headers` must ignore case; `body` is what came, byte for byte."""
        if objection := self._verifier.objection(headers, body, now=self._clock()):
            self._look_for_certificate(headers.get("Wechatpay-Serial", ""))
            kind, told = explain_refusal(objection, headers, self._verifier.keys, now=self._clock())
            self._sparse.write(kind, logging.INFO, "%s", told)
            return self._refused(401, objection, kind)
        try:
            answer = await self._accept(headers, body)
        except redis.exceptions.RedisError as error:
            if self.storing:  # said once, not once for each of hundreds a second
                log.warning("callbacks are not stored, the platform repeats them: %s", error)
                self.storing = False
            return self._refused(503, "not stored, please repeat", "not stored")
        if not self.storing:
            log.info("callbacks are stored again")
            self.storing = True
        return answer

    def _taken(self, result: CallbackResult, reply: Reply = TAKEN) -> Reply:
        self._tell(CallbackReceived(result))
        return reply

    def _refused(self, status: int, message: str, reason: CallbackRefusal) -> Reply:
        self._tell(CallbackRefused(status, reason))
        return Reply(status, message)

    def _look_for_certificate(self, serial: str) -> None:
        if self._missing is not None and serial not in self._verifier.keys and _SERIAL.fullmatch(serial):
            self._missing()

    async def _accept(self, headers: Mapping[str, str], body: bytes) -> Reply:
        envelope = _json_object(body)
        if envelope is None:
            return self._refused(400, "the body is no JSON object", "object")
        told = envelope.get("event_type")
        kind = ascii(told[:64])[1:-1][:64] if isinstance(told, str) else "without a name"
        if kind == ECHO_EVENT and (message := self._echo(envelope)) is not None:
            await self._note_echo(message)
            return self._taken("test")
        if kind not in IMAGE_EVENTS:
            return await self._pass_on(headers, body, kind)
        task = self._opened(envelope.get("resource"))
        if task is None:
            return self._refused(400, "the resource does not open", "resource")
        given = envelope.get("id")
        notice_id = ascii(given)[1:-1][:64] if isinstance(given, str) else ""
        with bound_contextvars(task_id=ascii(task.get("task_id"))[1:81].rstrip("'"), notice_id=notice_id):
            return await self._complete(task, notice_id)

    async def _complete(self, task: Mapping[str, Any], notice_id: str) -> Reply:
        result = await self._completer.complete(task, notice_id)
        if result == "unreadable":
            log.warning("callback with task_state %s is not understood", _shown(task.get("task_state")))
            return self._refused(400, "the task's state is not understood", "state")
        if result == "unknown":
            # Ours by signature, but not submitted from this ledger: another system of the same partner.
            log.info("callback for task_id %s, which is not in this ledger", _shown(task.get("task_id")))
        if result != "done":
            await self._count(result)
        return self._taken(result)

    async def _pass_on(self, headers: Mapping[str, str], body: bytes, kind: str) -> Reply:
        if self._forward is None:
            await self._count(f"other {kind}")
            return self._taken("other")
        status = await self._forward(headers, body)
        try:
            await self._count(f"other {kind}")
        except redis.exceptions.RedisError as error:  # its receiver has it; it need not come again for a count
            log.warning("a callback that was passed on is not counted: %s", error)
        if 200 <= status < 300:
            return self._taken("other", Reply(status))
        return self._refused(status, "its receiver did not take it", "not forwarded")

    def _echo(self, envelope: Mapping[str, Any]) -> str | None:
        """The message of a test notice, if it is the doctor's."""
        message = (self._opened(envelope.get("resource")) or {}).get("echo_message")
        return message if isinstance(message, str) and ECHO_MESSAGE.fullmatch(message) else None

    def _opened(self, resource: object) -> dict[str, Any] | None:
        """Open a resource. Its associated data is taken as it comes: the platform's own samples disagree on it."""
        if not isinstance(resource, Mapping):
            return None
        nonce, ciphertext = resource.get("nonce"), resource.get("ciphertext")
        associated_data = resource.get("associated_data") or ""
        if not (isinstance(nonce, str) and isinstance(ciphertext, str) and isinstance(associated_data, str)):
            return None
        # Half a surrogate pair has no bytes; a replacement for it opens nothing.
        nonce_bytes, associated_bytes = nonce.encode(errors="replace"), associated_data.encode(errors="replace")
        for key in self._apiv3_keys:
            try:
                return _json_object(unseal(key, nonce_bytes, ciphertext, associated_bytes))
            except DecryptError as error:
                why = error
        log.warning("callback verifies but does not open: %s", why)
        return None


def explain_refusal(
    objection: str, headers: Mapping[str, str], held: Iterable[str], *, now: float
) -> tuple[CallbackRefusal, str]:
    """Return the kind of a refusal and a sentence for the log: which headers, which key, how far off the clock is.

    Args:
        objection: what the verifier said.
        headers: of the callback; anybody can have written them.
        held: the ids of the keys that it could have been signed with.
        now: our clock, seconds since 1970.
    """
    given = {name: ascii(headers.get(f"Wechatpay-{name}", ""))[1:-1][:80] for name in SIGNATURE_HEADERS}
    if headers.get("Wechatpay-Signature", "").startswith(PROBE_PREFIX):
        return "probe", "callback probe refused, as it should be: the platform sends wrong signatures on purpose"
    if missing := [f"Wechatpay-{name}" for name in SIGNATURE_HEADERS if not headers.get(f"Wechatpay-{name}")]:
        more = "a proxy may drop them, or it is not the platform's"
        return "headers", f"callback refused: {', '.join(missing)} missing; {more}"
    if (timestamp := headers["Wechatpay-Timestamp"]).isascii() and timestamp.isdigit() and len(timestamp) <= 15:
        skew = int(timestamp) - now
        if abs(skew) >= FRESHNESS_SECONDS:
            more = "set this machine's clock (NTP), or it is an old callback sent again"
            return "clock", f"callback refused: {objection}: it is {skew:+.0f} s off; {more}"
    if headers["Wechatpay-Serial"] not in (keys := tuple(held)):
        return "key", f"callback refused: {objection}: {given['Serial']}; held are {', '.join(keys)}"
    return "signature", f"callback refused: {objection}: key {given['Serial']}, timestamp {given['Timestamp']}"


def _json_object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _shown(value: object) -> str:
    """A value for the log. What was just deep enough to be read may be too deep to be printed."""
    return ascii(value[:40]) if isinstance(value, str) else f"({type(value).__name__})"
