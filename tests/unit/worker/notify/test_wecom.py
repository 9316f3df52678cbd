"""Messages for 企业微信, as its page has them, and what its answers mean."""

import json

import pytest

from couponpress_worker.notify.message import Message, Paragraph
from couponpress_worker.notify.wecom import answer_of, body_of


def test_a_message_is_markdown_with_colours_and_quotes():
    paragraph = Paragraph("run may finished", ("failed 1",), "bad", "https://c.example/console/runs/b1")
    told = json.loads(body_of(Message("couponpress 19", "it", (paragraph,))))
    assert told["msgtype"] == "markdown"
    assert told["markdown"]["content"] == (
        '**couponpress 19**\n\n<font color="warning">run may finished</font>\n> failed 1\n'
        "> [open in the console](https://c.example/console/runs/b1)"
    )


def test_a_message_has_at_most_4096_bytes_of_utf_8():
    paragraphs = tuple(Paragraph("批次" * 50, ("原因" * 100,) * 6, "bad") for _ in range(20))
    content = json.loads(body_of(Message("标题", "事", paragraphs)))["markdown"]["content"]
    assert 3000 < len(content.encode()) <= 4096
    assert "more; `couponpress status`" in content


@pytest.mark.parametrize(
    ("code", "words", "verdict", "cure"),
    [
        (0, "ok", "taken", ""),
        (45009, "api freq out of limit", "later", "it is sent again in 60 s"),
        (93000, "invalid webhook url, hint: [1]", "refused", "copy the robot's Webhook address"),
        (40058, "markdown.content exceed max length 4096", "refused", "the robot does not take the message's form"),
        (-1, "system busy", "later", ""),
        (48002, "api forbidden", "refused", "look the code up"),
    ],
)
def test_answers(code, words, verdict, cure):
    answer = answer_of(200, json.dumps({"errcode": code, "errmsg": words}).encode())
    assert (answer.verdict, answer.words) == (verdict, f"errcode {code}: {words}")
    assert answer.cure.startswith(cure)
    assert bool(answer.cure) == bool(cure)
