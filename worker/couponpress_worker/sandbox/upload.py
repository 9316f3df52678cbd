"""The picture-upload call's form, pure: two parts, one picture, every rule of the platform's upload page.

Rules: pay.weixin.qq.com/doc/v3/partner/4015781275 and brand/4016427362. The signature covers the meta part only, so
its bytes are handed back as they came.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from couponpress_worker.sandbox import exchange, refusals, rules
from couponpress_worker.sandbox.exchange import Answer

MAX_PICTURE_BYTES = 2 * 1024 * 1024
MAX_NAME_CHARACTERS = 150
#: The form around a picture that is somewhat too large still gets the refusal that says so.
MAX_BODY_BYTES = 2 * MAX_PICTURE_BYTES

_SUFFIXES = (".jpg", ".bmp", ".png")
_BEGINNINGS = (b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n")
_PARAMETER = re.compile(r'; *(name|filename)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Form:
    """An upload as it came.

    Attributes:
        meta: the JSON text of the meta part, byte for byte: what the signature covers.
        file_name: the name that the file part carries.
        content: the picture.
    """

    meta: bytes
    file_name: str
    content: bytes


def read_form(content_type: str, body: bytes) -> Form | Answer:
    """Take the two parts out of a multipart body."""
    boundary = re.search(r'; *boundary=("?)([^";]{1,70})\1 *(;|$)', content_type)
    if boundary is None:
        return _broken("Content-Type names no boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary[2].encode("latin-1"))
    if len(pieces) != 4 or pieces[0] or pieces[3].rstrip(b"\r\n") != b"--":
        return _broken("the body must be two parts enclosed in the boundary")
    parts = {}
    for piece in pieces[1:3]:
        headers, separator, content = piece.partition(b"\r\n\r\n")
        fields = _part_headers(headers)
        parameters = dict(_PARAMETER.findall(fields.get("content-disposition", "")))
        if separator and "name" in parameters:
            parts[parameters["name"]] = (fields.get("content-type", ""), parameters.get("filename", ""), content)
    if parts.keys() != {"meta", "file"}:
        return _broken("the form must have the two parts meta and file")
    if parts["meta"][0].partition(";")[0].strip().lower() != "application/json":
        return _broken("the meta part must be application/json")
    return Form(meta=parts["meta"][2], file_name=parts["file"][1], content=parts["file"][2])


def objection(form: Form) -> Answer | None:
    """Return why the picture will not do."""
    meta = rules.read_object(form.meta)
    if isinstance(meta, Answer):
        return meta
    return (
        rules.only_fields(meta, "filename", "sha256")
        or _name_objection(meta.get("filename"), form.file_name)
        or _content_objection(meta.get("sha256"), form.content)
    )


def stored_url(form: Form) -> str:
    """Return the address under which the platform would keep the picture."""
    suffix = form.file_name[-4:].lower()
    return f"https://wxpaylogo.qpic.cn/wxpaylogo/{hashlib.sha256(form.content).hexdigest()}{suffix}"


def _name_objection(name: object, file_name: str) -> Answer | None:
    if not isinstance(name, str) or not name:
        return refusals.wrong_value("/filename", "is required", number=exchange.BAD_STRUCTURE)
    if len(name) > MAX_NAME_CHARACTERS:
        return refusals.wrong_value("/filename", f"is longer than {MAX_NAME_CHARACTERS} characters", name)
    if not name.lower().endswith(_SUFFIXES):
        return refusals.wrong_value("/filename", f"must end in one of {', '.join(_SUFFIXES)}", name)
    if name != file_name:
        return refusals.wrong_value("/filename", "is not the name of the file part", name)
    return None


def _content_objection(digest: object, content: bytes) -> Answer | None:
    if len(content) > MAX_PICTURE_BYTES:
        issue = f"the picture is larger than {MAX_PICTURE_BYTES} bytes"
        return refusals.wrong_value("file", issue, len(content), number=exchange.PICTURE_TOO_LARGE)
    if not isinstance(digest, str) or digest.lower() != hashlib.sha256(content).hexdigest():
        return refusals.wrong_value("/sha256", "is not the SHA-256 of the file in hex", digest)
    if not content.startswith(_BEGINNINGS):
        return refusals.wrong_value("file", "is neither JPG nor BMP nor PNG")
    return None


def _part_headers(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8", "replace").strip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _broken(issue: str) -> Answer:
    return refusals.wrong_value("file", issue, number=exchange.BAD_STRUCTURE)
