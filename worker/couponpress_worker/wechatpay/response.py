"""Reads an HTTP response into an `Answer`, whatever its bytes are. Pure.

It keeps the parts that are judged later (`judgement`), cut to a bounded length. The platform's error page (doc/v3
Share/error_code) says what an error body looks like. Proxies answer with HTML or with nothing at all, so nothing here
raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from couponpress_worker.wechatpay.judgement import Answer
from couponpress_worker.wechatpay.message import RawHeaders, Response
from couponpress_worker.wechatpay.retry import http_date, read_retry_after, whole_seconds
from couponpress_worker.wechatpay.signing import Verifier

#: How many characters of the platform's words are kept: results and logs hold them hundreds of thousands of times.
MESSAGE_LIMIT: Final = 500
DETAIL_LIMIT: Final = 2000

#: The headers that are read, in lower case.
_READ: Final = {
    name.lower().encode(): name
    for name in (
        "Date",
        "Request-ID",
        "Retry-After",
        "Wechatpay-Nonce",
        "Wechatpay-Serial",
        "Wechatpay-Signature",
        "Wechatpay-Timestamp",
    )
}
#: The body of nearly every answer: a task was taken. It is cut by hand, for that takes a fifth of reading JSON.
_TAKEN = re.compile(rb'\{"task_id":"([0-9A-Za-z_.-]*)"\}')
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")


def read_answer(response: Response, verifier: Verifier, *, now: float) -> Answer:
    """Return what a response says. The signature is checked for 2xx only: other answers carry none (wechatpay-go).

    Args:
        response: a whole response of `transport`, which hands bodies over as they were signed.
        verifier: knows the platform's keys.
        now: our clock when the answer was complete, seconds since 1970.
    """
    status, headers, body = response.status, _headers(response.headers), response.body
    good = 200 <= status < 300
    objection = verifier.objection(headers, body, now=now) if good else None
    request_id = _text(headers.get("Request-ID"), 200)
    skew_seconds = _skew(headers, now, trusted=good and objection is None)
    if (taken := _TAKEN.fullmatch(body)) is not None:
        wait = read_retry_after(headers.get("Retry-After"), now)
        known = {"task_id": taken[1].decode("ascii")}
        return Answer(status, "", "", "", "", request_id, objection, wait, skew_seconds, known)
    content = _object(body)
    code = content.get("code")
    detail = content.get("detail")
    part = detail if isinstance(detail, Mapping) else {}
    return Answer(
        status=status,
        code=code if isinstance(code, str) and _CODE.fullmatch(code) else "",
        message=_message(content, part),
        field=_text(part.get("field"), 200),
        detail=_text(json.dumps(detail, ensure_ascii=False), DETAIL_LIMIT) if detail else "",
        request_id=request_id,
        objection=objection,
        retry_after_seconds=read_retry_after(headers.get("Retry-After"), now),
        skew_seconds=skew_seconds,
        content=content,
    )


def _headers(headers: RawHeaders) -> dict[str, str]:
    """Return the headers that count, by their usual names. Of a header that came twice the first counts."""
    found = dict(reversed(headers))
    return {usual: found[name].decode("utf-8", "surrogateescape") for name, usual in _READ.items() if name in found}


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _message(content: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """The platform's sentence, and what it says about the field when that is more."""
    message, issue = _text(content.get("message"), MESSAGE_LIMIT), _text(part.get("issue"), MESSAGE_LIMIT)
    return f"{message} ({issue})"[:MESSAGE_LIMIT] if issue and issue not in message else message


def _text(value: object, limit: int) -> str:
    """Return a text that can be stored: cut, and without the lone surrogates that JSON may hold."""
    return value[:limit].encode(errors="replace").decode() if isinstance(value, str) else ""


def _skew(headers: Mapping[str, str], now: float, *, trusted: bool) -> float | None:
    """The platform's clock minus ours.

    A timestamp that holds is the platform's own; without one the date is better, for a probe's timestamp may be any.
    """
    signed = whole_seconds(headers.get("Wechatpay-Timestamp", ""))
    if not (trusted and signed is not None):
        dated = http_date(headers.get("Date", ""))
        signed = dated if dated is not None else signed
    return None if signed is None else signed - now
