"""Messages for group robots of 企业微信 (WeCom), and what their answers mean (pure).

Facts, from developer.work.weixin.qq.com/document/path/91770 (群机器人配置说明) and its table of codes (path/90313):

- POST of JSON to `/cgi-bin/webhook/send?key=KEY`; nothing is signed, so the key is the whole secret;
- `msgtype` `markdown` with at most 4096 bytes of UTF-8 in `markdown.content`. It knows headings, bold, links, inline
  code, quotes and three colours, and no lists. `markdown_v2` knows more, but clients before 4.1.36 show it as plain
  text, so it is not used;
- at most 20 messages a minute for each robot; one more is answered with 45009;
- the status is 200 also for a refusal: `{"errcode":93000,"errmsg":"invalid webhook url, hint: …"}`.
"""

from __future__ import annotations

import json
from typing import Final

from couponpress.language import gettext
from couponpress_worker.notify.answer import ADDRESS_CURE, FORM_CURE, SHOWN, Answer, Codes, robot_body
from couponpress_worker.notify.message import Message, Paragraph, fitted

LIMIT_BYTES: Final = 4096
#: Between two messages: 15 a minute, of the 20 that a robot takes.
GAP_SECONDS: Final = 4.0
CODES: Final = Codes(
    too_fast={45009: 60.0, 45033: 60.0},
    passing=frozenset({-1}),
    cures={93000: ADDRESS_CURE, 93004: ADDRESS_CURE, 93008: ADDRESS_CURE, 40058: FORM_CURE, 40008: FORM_CURE},
)
_COLOURS: Final = {"good": "info", "bad": "warning", "plain": "comment"}


def body_of(message: Message) -> bytes:
    """Return the body of the request."""
    content = fitted(message, _markdown, lambda text: len(text.encode()), LIMIT_BYTES)
    return json.dumps({"msgtype": "markdown", "markdown": {"content": content}}, ensure_ascii=False).encode()


def _markdown(message: Message) -> str:
    return "\n\n".join(filter(None, [f"**{message.sender}**", *map(_paragraph, message.paragraphs), message.more_line]))


def _paragraph(paragraph: Paragraph) -> str:
    lines = [f'<font color="{_COLOURS[paragraph.level]}">{paragraph.heading}</font>']
    lines += [f"> {line}" for line in paragraph.lines]
    if paragraph.link:
        lines.append(f"> [{gettext('open in the console')}]({paragraph.link})")
    return "\n".join(lines)


def answer_of(status: int, body: bytes) -> Answer:
    """Return what an answer means."""
    told = robot_body(status, body)
    if isinstance(told, Answer):
        return told
    code = told.get("errcode")
    return CODES.answer(code, f"errcode {code}: {str(told.get('errmsg', ''))[:SHOWN]}")
