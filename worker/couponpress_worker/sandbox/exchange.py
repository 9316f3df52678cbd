"""A request and its answer, as the plain values that every rule of the sandbox uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The numeric codes at the end of a Request-ID (the platform's trouble-shooting manuals). 0 means fine.
FINE = 0
ILLEGAL_VALUE = 268435461
OUT_OF_RANGE = 268435464
BAD_STRUCTURE = 268578101
OBJECT_ABSENT = 268578608
SAME_SERIAL_OTHER_DATA = 268578927
NOT_AUTHORISED = 268579803
TOO_FAST = 270924289
PICTURE_TOO_LARGE = 270087680
EXTRA_PARAMETER = 270924358
SIGNATURE_WRONG = 268443699
SERIAL_WRONG = 269546507
BAD_SIGNATURE = 269546525
MERCHANT_ABSENT = 269546538
#: For answers whose number no page prints.
UNLISTED = 1


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire.

    Attributes:
        method: in capitals.
        path: still percent-encoded.
        query: the part after the question mark, still encoded; empty without one.
        headers: by lower-case name.
        body: the raw bytes.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as a signature covers them."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. Only a 2xx is signed.

    Attributes:
        status: the HTTP status.
        body: the raw bytes.
        number: the numeric code that ends the Request-ID.
        content_type: of the body.
        headers: further headers.
    """

    status: int
    body: bytes = b""
    number: int = FINE
    content_type: bytes = b"application/json; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def granted(content: Mapping[str, Any]) -> Answer:
    """Return a 200 with JSON."""
    return Answer(200, _json(content))


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def refused(
    status: int,
    code: str,
    message: str,
    *,
    number: int = UNLISTED,
    detail: Mapping[str, Any] | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:
    """Return an error as the platform shapes it: code, a sentence in Chinese, and what exactly is wrong."""
    content: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        content["detail"] = detail
    return Answer(status, _json(content), number, headers=headers)
