"""Messages for group robots of 飞书 (Feishu) and Lark, their signature, and what their answers mean (pure).

Facts, from open.feishu.cn/document/ukTMukTMukTM/ucTM5YjL3ETO24yNxkjN (自定义机器人使用指南):

- POST of JSON to `/open-apis/bot/v2/hook/TOKEN`;
- where 签名校验 is chosen, the body holds `timestamp` (seconds, as text) and `sign`: the Base64 of HMAC-SHA256 over
  nothing, with the timestamp, a line feed and the secret as its key. The timestamp may be at most an hour off;
- `msg_type` `interactive` with a `card`: a coloured header, and elements with the tag `markdown`. A body has at most
  20 KB;
- at most 100 messages a minute and 5 a second for each robot; more are answered with 11232, also at the full and half
  hour, when the platform itself is busy;
- the status is 200 also for a refusal: `{"code":19021,"msg":"sign match fail or timestamp is not within one hour …"}`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Final

from couponpress.language import gettext
from couponpress_worker.notify.answer import (
    ADDRESS_CURE,
    CALLER_CURE,
    FORM_CURE,
    KEYWORD_CURE,
    SECRET_CURE,
    SHOWN,
    Answer,
    Codes,
    robot_body,
    too_fast,
)
from couponpress_worker.notify.message import Message, Paragraph, fitted

#: Of 20 KB, with room for the signature.
LIMIT_BYTES: Final = 20_000
GAP_SECONDS: Final = 1.0
CODES: Final = Codes(
    too_fast={11232: 60.0, 99991400: 60.0},
    passing=frozenset(),
    cures={
        19001: ADDRESS_CURE,
        19021: SECRET_CURE,
        19022: CALLER_CURE,
        19024: KEYWORD_CURE,
        9499: FORM_CURE,
    },
)
_COLOURS: Final = {"good": "green", "bad": "red", "plain": "blue"}


def signature(secret: bytes, timestamp: str) -> str:
    """Return the signature of a moment, given as text in seconds since 1970."""
    mac = hmac.new(timestamp.encode() + b"\n" + secret, b"", hashlib.sha256).digest()
    return base64.b64encode(mac).decode()


def body_of(message: Message, secret: bytes | None, now: float) -> bytes:
    """Return the body of the request, signed for a moment (seconds since 1970) where there is a secret."""
    signed: dict[str, Any] = {}
    if secret is not None:
        timestamp = str(round(now))
        signed = {"timestamp": timestamp, "sign": signature(secret, timestamp)}

    def body(one: Message) -> bytes:
        return json.dumps(signed | {"msg_type": "interactive", "card": _card(one)}, ensure_ascii=False).encode()

    return fitted(message, body, len, LIMIT_BYTES)


def _card(message: Message) -> dict[str, Any]:
    alone = len(message.paragraphs) == 1  # the header says what happened
    texts = [*(_paragraph(one, alone) for one in message.paragraphs), *filter(None, [message.more_line])]
    return {
        "config": {"wide_screen_mode": True},
        "header": {"title": {"tag": "plain_text", "content": message.title}, "template": _COLOURS[message.level]},
        "elements": [{"tag": "markdown", "content": text} for text in texts or [message.title]],
    }


def _paragraph(paragraph: Paragraph, alone: bool) -> str:
    lines = [*([] if alone and paragraph.lines else [f"**{paragraph.heading}**"]), *paragraph.lines]
    if paragraph.link:
        lines.append(f"[{gettext('open in the console')}]({paragraph.link})")
    return "\n".join(lines)


def answer_of(status: int, body: bytes) -> Answer:
    """Return what an answer means."""
    told = robot_body(status, body)
    if isinstance(told, Answer):
        return told
    code = told.get("code", told.get("StatusCode"))
    said = str(told.get("msg", told.get("StatusMessage", "")))[:SHOWN]
    if code == 9499 and "frequency" in said.lower():  # the code of a wrong form is used for this as well
        return too_fast(f"code {code}: {said}", CODES.too_fast[11232])
    return CODES.answer(code, f"code {code}: {said}")
