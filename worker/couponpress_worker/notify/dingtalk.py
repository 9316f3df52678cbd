"""Messages for group robots of 钉钉 (DingTalk), their signature, and what their answers mean (pure).

Facts, from open.dingtalk.com/document/robots/custom-robot-access (自定义机器人接入) and
…/robots/customize-robot-security-settings (自定义机器人安全设置):

- POST of JSON in UTF-8 to `/robot/send?access_token=TOKEN`;
- where 加签 is chosen, `timestamp` (ms) and `sign` follow in the query. `sign` is the Base64 of HMAC-SHA256 with the
  secret as the key over the timestamp, a line feed and the secret; the timestamp may be at most an hour off;
- `msgtype` `markdown` with a `title`, which the list of chats shows, and a `text`; a line ends with an empty line. A
  message has at most 20000 bytes (460101);
- at most 20 messages a minute for each robot; one more is answered with 130101 or 410100, and the robot takes none for
  ten minutes;
- the status is 200 also for a refusal. 310000 means that a security setting refuses: signature, keyword or address; its
  words tell which.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Final
from urllib.parse import quote_plus

from couponpress.language import gettext, gettext_noop
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
)
from couponpress_worker.notify.message import Message, Paragraph, fitted

LIMIT_BYTES: Final = 20_000
#: Between two messages: 15 a minute, of the 20 that a robot takes.
GAP_SECONDS: Final = 4.0
#: A robot that was sent too much takes nothing for so long.
_BANNED_SECONDS: Final = 600.0
_GONE_CURE: Final = gettext_noop("the group or its robot is closed; name another robot")
CODES: Final = Codes(
    too_fast={130101: _BANNED_SECONDS, 410100: _BANNED_SECONDS},
    passing=frozenset({-1}),
    cures=dict.fromkeys((300001, 300005, 400101, 400106, 40035), ADDRESS_CURE)
    | dict.fromkeys((400013, 400102), _GONE_CURE)
    | dict.fromkeys((460101, 400105, 43004), FORM_CURE)
    | {
        310000: gettext_noop("compare the robot's security settings: signature, keyword couponpress, addresses"),
    },
)


def signed_url(url: str, secret: bytes | None, now: float) -> str:
    """Return the URL with its signature at a moment, seconds since 1970; as it is without a secret."""
    if secret is None:
        return url
    timestamp = str(round(now * 1000))
    mac = hmac.new(secret, f"{timestamp}\n".encode() + secret, hashlib.sha256).digest()
    return f"{url}&timestamp={timestamp}&sign={quote_plus(base64.b64encode(mac))}"


def body_of(message: Message) -> bytes:
    """Return the body of the request."""
    return fitted(message, _body, len, LIMIT_BYTES)


def _body(message: Message) -> bytes:
    parts = [f"### {message.sender}", *map(_paragraph, message.paragraphs), message.more_line]
    markdown = {"title": message.title, "text": "\n\n".join(filter(None, parts))}
    return json.dumps({"msgtype": "markdown", "markdown": markdown}, ensure_ascii=False).encode()


def _paragraph(paragraph: Paragraph) -> str:
    lines = [f"**{paragraph.heading}**", *(f"> {line}" for line in paragraph.lines)]
    if paragraph.link:
        lines.append(f"> [{gettext('open in the console')}]({paragraph.link})")
    return "\n\n".join(lines)


def answer_of(status: int, body: bytes) -> Answer:
    """Return what an answer means."""
    told = robot_body(status, body)
    if isinstance(told, Answer):
        return told
    code, said = told.get("errcode"), str(told.get("errmsg", ""))[:SHOWN]
    return CODES.answer(code, f"errcode {code}: {said}", _security_cure(said) if code == 310000 else "")


def _security_cure(said: str) -> str:
    """Return the cure of a refusal by a security setting, which its words tell; empty where they do not."""
    lowered = said.lower()
    for words, cure in (
        (("keyword", "关键词"), KEYWORD_CURE),
        (("whitelist", "白名单"), CALLER_CURE),
        (("sign", "签名", "timestamp", "时间戳"), SECRET_CURE),
    ):
        if any(word in lowered for word in words):
            return cure
    return ""
