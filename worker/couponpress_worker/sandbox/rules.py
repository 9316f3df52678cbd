"""Checks the content of a request (pure). Each reader returns what it read, or the refusal.

The rules of a submit are those of `couponpress.spec`, applied to the bytes on the wire: no null, and none of the fields
that only couponpress has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from couponpress.errors import Problem, SpecError
from couponpress.spec import PART_OF_TYPE, TaskSpec
from couponpress.transport.web_address import LOOPBACK_HOSTS
from couponpress_worker.sandbox import exchange, refusals
from couponpress_worker.sandbox.exchange import Answer, Request

NOTIFY_URL_CHARACTERS = 256
_NUMBERS = {
    "is required": exchange.BAD_STRUCTURE,
    "is not a field of this request": exchange.EXTRA_PARAMETER,
    "has no place": exchange.EXTRA_PARAMETER,
}


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


#: Python's default decoder accepts NaN and Infinity, which are not JSON.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def read_object(body: bytes) -> dict[str, Any] | Answer:
    """Read a JSON object that holds no null; the APIv3 rules allow neither null nor anything but UTF-8."""
    try:
        content = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return refusals.not_json(f"the body is not JSON: {error}")
    if not isinstance(content, dict):
        return refusals.not_json("the body is not a JSON object")
    if b"null" in body and (pointer := _null_in(content, "")) is not None:
        return refusals.wrong_value(pointer, "null is not allowed; leave the field out")
    return content


def read_task(body: bytes, *, strict: bool, brand_id: str | None = None) -> TaskSpec | Answer:
    """Read the body of a submit. `strict` refuses objects that its type does not use.

    With a `brand_id` that brand calls for itself, and must not name one.
    """
    content = read_object(body)
    if isinstance(content, Answer):
        return content
    if "task_id" not in content:
        return _missing("/task_id")
    if "row_id" in content:
        return _stranger("/row_id")
    if brand_id is not None:
        if "brand_id" in content:
            return _stranger("/brand_id")
        content["brand_id"] = brand_id
    try:
        return TaskSpec.parse(content, strict=strict)[0]
    except SpecError as error:
        return _refusal_of(error.problems[0])


def read_query(query: str, task_id: str, *, brand_id: str | None = None) -> tuple[str, str] | Answer:
    """Read brand and type from a query's parameters, and look at the serial in its path; `brand_id` as of a task."""
    if not re.fullmatch(r"[0-9A-Za-z_-]{6,40}", task_id):
        return refusals.wrong_value("task_id", "must be 6 to 40 digits, letters, _ or -", task_id, location="url")
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    names = ("brand_id", "image_generation_type") if brand_id is None else ("image_generation_type",)
    for name in names:
        if not parameters.get(name):
            return _missing(name, location="query")
    if len(pairs) != len(names):
        return refusals.wrong_value("query", f"takes {' and '.join(names)} only", query, location="query")
    kind = parameters["image_generation_type"]
    if kind not in PART_OF_TYPE:
        issue = f"must be one of {', '.join(PART_OF_TYPE)}"
        return refusals.wrong_value("image_generation_type", issue, kind, location="query")
    return brand_id or parameters["brand_id"], kind


def read_notify_config(body: bytes) -> str | Answer:
    """Read the body that sets the callback address."""
    content = read_object(body)
    if isinstance(content, Answer):
        return content
    return only_fields(content, "notify_url") or _notify_url(content.get("notify_url"))


def read_echo(request: Request) -> tuple[str, str | None] | Answer:
    """Read the test call (partner/4015139289): the message and, if one is to be sent, where the callback goes.

    The call must name the platform's key in its headers. The encrypted twin of the message is not decrypted here.
    """
    if "wechatpay-serial" not in request.headers:
        return refusals.header_missing("Wechatpay-Serial")
    content = read_object(request.body)
    if isinstance(content, Answer):
        return content
    if (refusal := only_fields(content, "echo_message", "encrypted_echo_message", "notify_url")) is not None:
        return refusal
    message = content.get("echo_message")
    if not isinstance(message, str) or not message:
        return _missing("/echo_message")
    if not isinstance(content.get("encrypted_echo_message", ""), str):
        return refusals.wrong_value("/encrypted_echo_message", "must be text")
    url = _notify_url(content["notify_url"]) if "notify_url" in content else None
    return url if isinstance(url, Answer) else (message, url)


def only_fields(content: Mapping[str, Any], *allowed: str) -> Answer | None:
    """Refuse fields that the call does not have."""
    strangers = content.keys() - set(allowed)
    return _stranger(f"/{min(strangers)}") if strangers else None


def _notify_url(url: object) -> str | Answer:
    """HTTPS, no query string, up to 256 characters (partner/4016435719); plain HTTP for loopback only."""
    if not isinstance(url, str) or not url:
        return _missing("/notify_url")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return refusals.wrong_value("/notify_url", "is not a URL", url)
    if len(url) > NOTIFY_URL_CHARACTERS:
        return refusals.wrong_value("/notify_url", f"is longer than {NOTIFY_URL_CHARACTERS} characters", url)
    if not host or re.search(r"\s", url) or not (parts.scheme == "https" or (parts.scheme, host) in _PLAIN):
        return refusals.wrong_value("/notify_url", "must be an https address", url)
    if "?" in url or "#" in url:
        return refusals.wrong_value("/notify_url", "must not carry a query string", url)
    return url


_PLAIN = {("http", host) for host in LOOPBACK_HOSTS}


def _refusal_of(problem: Problem) -> Answer:
    number = exchange.OUT_OF_RANGE if isinstance(problem.value, int) else exchange.ILLEGAL_VALUE
    number = next((code for rule, code in _NUMBERS.items() if problem.rule.startswith(rule)), number)
    return refusals.wrong_value("/" + problem.field.replace(".", "/"), problem.rule, problem.value, number=number)


def _missing(field: str, location: str = "body") -> Answer:
    return refusals.wrong_value(field, "is required", location=location, number=exchange.BAD_STRUCTURE)


def _stranger(field: str) -> Answer:
    return refusals.wrong_value(field, "is not a field of this request", number=exchange.EXTRA_PARAMETER)


def _null_in(content: object, pointer: str) -> str | None:
    if content is None:
        return pointer
    members: list[tuple[object, object]] = []
    if isinstance(content, dict):
        members = list(content.items())
    elif isinstance(content, list):
        members = list(enumerate(content))
    found = (_null_in(value, f"{pointer}/{name}") for name, value in members)
    return next((place for place in found if place is not None), None)
