"""Messages for 钉钉, as its page has them, its signature, and what its answers mean."""

import json

import pytest

from couponpress_worker.notify.dingtalk import answer_of, body_of, signed_url
from couponpress_worker.notify.message import Message, Paragraph

URL = "https://oapi.dingtalk.com/robot/send?access_token=1"


def test_the_signature_is_that_of_the_page():
    # By openssl dgst -sha256 -hmac 'this is secret' over the timestamp, a line feed and the secret.
    expected = "&timestamp=1577808000000&sign=ijHEivi6YiCNPZOq4hZstmvZ3sPfbioAiMhP30ae7W0%3D"
    assert signed_url(URL, b"this is secret", 1577808000.0) == URL + expected


def test_without_a_secret_nothing_is_signed():
    assert signed_url(URL, None, 1.0) == URL


def test_a_message_has_a_title_and_lines_apart():
    told = json.loads(body_of(Message("couponpress 19", "it", (Paragraph("run may finished", ("failed 1",)),))))
    assert told["msgtype"] == "markdown"
    assert told["markdown"] == {
        "title": "couponpress 19: it",
        "text": "### couponpress 19\n\n**run may finished**\n\n> failed 1",
    }


def test_a_message_has_at_most_20000_bytes():
    paragraphs = tuple(Paragraph("批次" * 100, ("原因" * 100,) * 8) for _ in range(20))
    assert 5000 < len(body_of(Message("标题", "事", paragraphs))) <= 20_000


@pytest.mark.parametrize(
    ("code", "words", "verdict", "cure"),
    [
        (0, "ok", "taken", ""),
        (130101, "send too fast, exceed 20 times per minute", "later", "it is sent again in 600 s"),
        (410100, "发送速度太快而限流", "later", "it is sent again in 600 s"),
        (300005, "token is not exist", "refused", "copy the robot's Webhook address"),
        (400102, "bot is stopped", "refused", "the group or its robot is closed"),
        (310000, "keywords not in content", "refused", "add the keyword couponpress"),
        (310000, "description:机器人发送签名不匹配;solution:请确认签名", "refused", "copy the secret"),
        (310000, "sign not match", "refused", "copy the secret"),
        (310000, "invalid timestamp", "refused", "copy the secret"),
        (310000, "ip 1.2.3.4 not in whitelist", "refused", "add the address"),
        (310000, "something new", "refused", "compare the robot's security settings"),
        (-1, "系统繁忙", "later", ""),
    ],
)
def test_answers(code, words, verdict, cure):
    answer = answer_of(200, json.dumps({"errcode": code, "errmsg": words}).encode())
    assert (answer.verdict, answer.words) == (verdict, f"errcode {code}: {words}")
    assert answer.cure.startswith(cure)
    assert bool(answer.cure) == bool(cure)
