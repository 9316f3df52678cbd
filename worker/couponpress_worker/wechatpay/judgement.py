"""Says what an answer of the platform means for a spec and for the fleet, and what to do next (pure).

The lack of an answer is judged too. Rules: the platform's error page (doc/v3 Share/error_code), its manual for
service providers (wechatpay-apiv3/wechatpay-skills, product coupon), submit page partner/4017327752, query page
partner/4017327739, signature page merchant/4013053420.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from couponpress.outcome import State

Scope = Literal["brand", "partner"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from the platform, or from something that stands in its place.

    Attributes:
        status: the HTTP status.
        code: the platform's upper-case word; empty when the body is not the platform's JSON.
        message: the reason for people.
        field: the field that the platform objects to, as a JSON pointer or a name.
        detail: the whole detail object as JSON text, cut; for SIGN_ERROR it shows what the platform signed.
        request_id: the platform's id of the call, ending in `-` and a number.
        objection: why the signature of a 2xx does not hold; None when it does, and for every other status.
        retry_after_seconds: how long the far end asks us to wait.
        skew_seconds: the platform's clock minus ours, as this answer tells it.
        content: the JSON object of the body, empty when there is none.
    """

    status: int
    code: str = ""
    message: str = ""
    field: str = ""
    detail: str = ""
    request_id: str = ""
    objection: str | None = None
    retry_after_seconds: float | None = None
    skew_seconds: float | None = None
    content: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def number(self) -> int | None:
        """The number at the end of the request id; it is finer than the code. 0 means that all is well."""
        _, dash, suffix = self.request_id.rpartition("-")
        return int(suffix) if dash and re.fullmatch("[0-9]{1,18}", suffix) else None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer at all: surely `not_sent`, or `open`, when bytes had left and nobody knows what became of them."""

    kind: Literal["not_sent", "open"]
    what: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The platform has the task; a callback or a query completes it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never to be repeated: the platform refuses this one spec."""

    code: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast: no try is spent, the fleet slows down, the same bytes go again."""

    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing certain is known: a try is spent, the same bytes go again under a fresh signature."""

    code: str
    message: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class QueryFirst:
    """The platform knows the task_id already: query it before anything else."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Every further call for the partner, or for the brand, would fail: hold that, and show the cure to a person."""

    scope: Scope
    code: str
    message: str
    cure: str
    request_id: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Completed:
    """The task has ended: `State.SUCCEEDED` with the picture's URL, or `State.FAILED` without one."""

    state: State
    image_url: str = ""


@dataclass(frozen=True, slots=True)
class Processing:
    """The platform is still at it."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The platform does not know the task: never accepted, or not visible yet."""


Judgement: TypeAlias = Accepted | Rejected | Throttled | Retry | QueryFirst | Hold
QueryJudgement: TypeAlias = Completed | Processing | NotFound | Rejected | Throttled | Retry | Hold

_ACCEPTED: Final = Accepted()
#: The code of a 2xx whose signature does not hold.
UNTRUSTED_CODE: Final = "UNTRUSTED_ANSWER"

#: A clock this far off makes the platform refuse every signature.
_CLOCK_LIMIT_SECONDS: Final = 300

_THROTTLE_CODES = re.compile(r"RATELIMIT_EXCEEDED|RATE_LIMITED|FREQUENCY_\w+|FREQENCY_LIMIT")
_THROTTLE_NUMBERS = frozenset({270924289, 268447840, 268461336})
_THROTTLE_WORDS = re.compile(
    r"频率|频繁|频次|频控|限频|过快|太快|frequen|rate.?limit|too (many|fast|often)", re.IGNORECASE
)
_HEADER_WORDS = re.compile(
    r"http ?头|请求头|报文头|user-?agent|content-type|\bheaders?\b|(?-i:\bAccept\b)", re.IGNORECASE
)
#: How the platform objects to the Wechatpay-Serial header, which names its own key, not the merchant's certificate.
_PLATFORM_KEY_WORDS = re.compile(r"平台证书序列号|微信支付公钥 ?ID|平台公钥 ?ID", re.IGNORECASE)
_PLATFORM_KEY_HEADER = "wechatpay-serial"
_TROUBLE_CODES = frozenset({"SYSTEM_ERROR", "SERVICE_UNAVAILABLE"})
_EXISTS_CODES = frozenset({"ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS"})
_WRONG_CALL = frozenset({405, 406, 413, 415})

_SAME_SERIAL_OTHER_DATA = 268578927
_NO_PERMISSION = 268579803
_OBJECT_ABSENT = 268578608

_CURE_KEYS = (
    "COUPONPRESS_MCHID, COUPONPRESS_MCH_SERIAL_NO and COUPONPRESS_MCH_PRIVATE_KEY_FILE must belong together: "
    "compare them with the API certificate on the merchant platform, then `couponpress resume`."
)
CURE_PLATFORM_KEY_ID: Final = (
    "COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID is not an id that the platform knows: copy it whole, with its PUB_KEY_ID_ "
    "prefix, from the merchant platform's API security page, then `couponpress resume`. The merchant's own serial "
    "number is not meant."
)
_CURE_CERTIFICATE = (
    "The merchant API certificate has expired: issue a new one on the merchant platform, set its serial number and "
    "private key, then `couponpress resume`."
)
_CURE_ADDRESS = (
    "COUPONPRESS_BASE_URL must be the platform's own host, without a path and without a proxy that changes paths: "
    "correct it, then `couponpress resume`."
)
_CURE_CALL = (
    "The platform refuses the form of the call, not the row: look for a proxy that changes requests on their way, and "
    "for a newer couponpress; then `couponpress resume`."
)
_CURE_BRAND = (
    "The brand must authorise the partner on the merchant platform (or the partner lacks the permission for product "
    "coupons, if every brand is refused). A brand that signs for itself needs that permission of its own."
)
#: What the request id says about a signature, and the cure.
_SIGNING_CURES: Mapping[int, str] = {
    268443699: _CURE_KEYS,
    269546505: _CURE_CERTIFICATE,
    269546507: _CURE_KEYS,
    269546525: _CURE_KEYS,
    269546538: _CURE_KEYS,
}
#: What a number means, for answers that come without words.
_MEANINGS: Mapping[int, str] = {
    268435461: "a value is not allowed",
    268435462: "a value is too long",
    268435463: "a value is too short",
    268435464: "a value is out of range",
    268573590: "a date is out of range",
    268578101: "the body's structure is wrong",
    268578224: "a parameter is wrong",
    268578404: "the coupon's picture is missing",
    _OBJECT_ABSENT: "no such object, or it belongs to another brand or partner",
    268578704: "the app id is not allowed",
    _SAME_SERIAL_OTHER_DATA: "the task_id was used before with other data",
    _NO_PERMISSION: "the partner lacks the permission, or the brand did not authorise it",
    268586067: "the generosity of progressive rounds must not fall",
    270087680: "the picture is over the size limit",
    270924358: "a parameter is not known to the platform",
}


def judge(reply: Answer | NoAnswer) -> Judgement:
    """Say what the reply to a submit means."""
    if isinstance(reply, NoAnswer):
        return _unanswered(reply)
    # What nearly every answer is; the number 0 at the end of its id means that all is well.
    if reply.status == 200 and reply.objection is None and not reply.code and reply.request_id.endswith("-0"):
        return _ACCEPTED
    return _common(reply) or _judge_submit(reply)


def judge_query(reply: Answer | NoAnswer) -> QueryJudgement:
    """Say what the reply to a query means. `Retry` means here: nothing was learned, ask later."""
    if isinstance(reply, NoAnswer):
        return _unanswered(reply)
    return _common(reply) or _judge_query(reply)


def read_task(content: Mapping[str, Any]) -> Completed | Processing | Retry:
    """Read a task as the query and the callback state it; `Retry` when it is no ending that can be stored.

    Both carry the same fields (query page partner/4017327739, callback page partner/4017327744).
    """
    state = content.get("task_state")
    if state == "PROCESSING":
        return Processing()
    if state == "FAIL":
        return Completed(State.FAILED)
    if state != "SUCCESS":
        try:
            told = str(state)[:40]
        except RecursionError:  # just not too deep to be read, but too deep to be printed
            told = type(state).__name__
        return Retry("UNKNOWN_STATE", f"task_state is {told!r}, which is none of the known ones")
    for part in ("combine_image_result", "cut_out_result"):
        result = content.get(part)
        url = result.get("image_url") if isinstance(result, Mapping) else None
        if isinstance(url, str) and url:
            return Completed(State.SUCCEEDED, url)
    return Retry("NO_IMAGE_URL", "task_state is SUCCESS, but there is no image_url")


def _unanswered(reply: NoAnswer) -> Retry:
    return Retry("NOT_SENT" if reply.kind == "not_sent" else "NO_ANSWER", reply.what)


def _common(answer: Answer) -> Throttled | Retry | Hold | None:
    """What holds for every call; None when the call itself decides."""
    if _throttles(answer):
        return Throttled(answer.retry_after_seconds)
    if 200 <= answer.status < 300:
        if answer.objection is None:
            return None
        # An answer in doubt can be a probe of the platform's; a clock in doubt is ours to set.
        return _clock_stop(answer, answer.objection) or Retry(UNTRUSTED_CODE, answer.objection)
    if answer.status >= 500 or answer.code in _TROUBLE_CODES:
        return Retry(_code(answer), _words(answer), answer.retry_after_seconds)
    return _set_up_stop(answer)


def _set_up_stop(answer: Answer) -> Hold | None:
    if _blames_platform_key(answer):
        return Hold("partner", _code(answer), _words(answer), CURE_PLATFORM_KEY_ID, answer.request_id)
    if answer.status == 401 or answer.code == "SIGN_ERROR" or answer.number in _SIGNING_CURES:
        told = f"{_words(answer)} {answer.detail}".rstrip()
        cure = _SIGNING_CURES.get(answer.number or 0, _CURE_KEYS)
        return _clock_stop(answer, told) or Hold("partner", _code(answer), told, cure, answer.request_id)
    if answer.status in _WRONG_CALL or _blames_headers(answer):
        return Hold("partner", _code(answer), _words(answer), _CURE_CALL, answer.request_id)
    return None


def _judge_submit(answer: Answer) -> Judgement:
    if answer.status == 202:
        return Retry("HTTP_202", "the platform took the request but leaves the outcome open")
    if 200 <= answer.status < 300:
        return Accepted()
    # With this number the platform has compared the data: a query would show another task's picture as ours.
    if answer.code in _EXISTS_CODES and answer.number != _SAME_SERIAL_OTHER_DATA:
        return QueryFirst(answer.code, _words(answer))
    # A 404 that names a field, or says that an object is absent, has found the path.
    if answer.status == 404 and not answer.field and answer.number != _OBJECT_ABSENT:
        return Hold("partner", _code(answer), _words(answer), _CURE_ADDRESS, answer.request_id)
    return _refused(answer)


def _judge_query(answer: Answer) -> QueryJudgement:
    if 200 <= answer.status < 300:
        return read_task(answer.content)
    if answer.number == _OBJECT_ABSENT or (answer.status == 404 and answer.code):
        return NotFound()
    return _refused(answer)


def _refused(answer: Answer) -> Rejected | Retry | Hold:
    """A refusal counts when the platform itself speaks; a proxy's page books no permanent failure."""
    if not answer.code or not 400 <= answer.status < 500:
        return Retry(f"HTTP_{answer.status}", _words(answer))
    if answer.code == "NO_AUTH" or answer.number == _NO_PERMISSION:
        return Hold("brand", answer.code, _words(answer), _CURE_BRAND, answer.request_id)
    return Rejected(answer.code, _words(answer), answer.field)


def _throttles(answer: Answer) -> bool:
    return (
        answer.status == 429
        or _THROTTLE_CODES.fullmatch(answer.code) is not None
        or answer.number in _THROTTLE_NUMBERS
        or (answer.code == "INVALID_REQUEST" and _THROTTLE_WORDS.search(answer.message) is not None)
    )


def _blames_platform_key(answer: Answer) -> bool:
    """Whether a 4xx objects to the key of the platform's own that a request names, whatever its code and number."""
    field = answer.field.strip("/").lower()
    return 400 <= answer.status < 500 and (
        field == _PLATFORM_KEY_HEADER or _PLATFORM_KEY_WORDS.search(answer.message) is not None
    )


def _blames_headers(answer: Answer) -> bool:
    told = f"{answer.message} {answer.field}"
    return answer.code == "INVALID_REQUEST" and _HEADER_WORDS.search(told) is not None


def _clock_stop(answer: Answer, told: str) -> Hold | None:
    skew = answer.skew_seconds
    if skew is None or abs(skew) < _CLOCK_LIMIT_SECONDS:
        return None
    side = "behind" if skew > 0 else "ahead of"
    cure = (
        f"This machine's clock is {abs(skew):.0f} s {side} the platform's, and 300 s is the most that it takes: "
        "set the clock (NTP), then `couponpress resume`."
    )
    return Hold("partner", "CLOCK_SKEW", told, cure, answer.request_id)


def _code(answer: Answer) -> str:
    return answer.code or f"HTTP_{answer.status}"


def _words(answer: Answer) -> str:
    fallback = _MEANINGS.get(answer.number or 0, f"status {answer.status} without a reason")
    return answer.message or fallback
