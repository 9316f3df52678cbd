"""Messages for 飞书, as its page has them, its signature, and what its answers mean."""

import json

import pytest

from couponpress_worker.notify.feishu import answer_of, body_of, signature
from couponpress_worker.notify.message import Message, Paragraph


def test_the_signature_has_the_secret_in_its_key_and_signs_nothing():
    # Computed apart: printf '' | openssl dgst -sha256 -hmac $'1599360473\ndemo' -binary | base64
    assert signature(b"demo", "1599360473") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


def test_a_message_is_a_card_with_a_coloured_header():
    paragraph = Paragraph("run may finished", ("failed 1",), "bad", "https://c.example/console/runs/b1")
    told = json.loads(body_of(Message("couponpress 19", "it", (paragraph,)), None, 0))
    assert told.keys() == {"msg_type", "card"}
    assert told["card"]["header"] == {
        "title": {"tag": "plain_text", "content": "couponpress 19: it"},
        "template": "red",
    }
    (element,) = told["card"]["elements"]
    assert element == {
        "tag": "markdown",
        "content": "failed 1\n[open in the console](https://c.example/console/runs/b1)",
    }


def test_a_signed_message_says_when_in_text_and_seconds():
    told = json.loads(body_of(Message("t", "it", (Paragraph("h"),)), b"demo", 1599360473.4))
    assert (told["timestamp"], told["sign"]) == ("1599360473", signature(b"demo", "1599360473"))


def test_a_signed_body_has_at_most_20_kb():
    paragraphs = tuple(Paragraph("批次" * 100, ("原因" * 100,) * 8) for _ in range(20))
    assert 5000 < len(body_of(Message("标题", "事", paragraphs), b"demo", 1)) <= 20 * 1024


@pytest.mark.parametrize(
    ("code", "words", "verdict", "cure"),
    [
        (0, "success", "taken", ""),
        (
            11232,
            "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]",
            "later",
            "it is sent again in 60 s",
        ),
        (9499, "frequency limited psm", "later", "it is sent again in 60 s"),
        (9499, "Bad Request", "refused", "the robot does not take the message's form"),
        (19001, "param invalid: incoming webhook access token invalid", "refused", "copy the robot's Webhook address"),
        (19021, "sign match fail or timestamp is not within one hour from current time", "refused", "copy the secret"),
        (19022, "Ip Not Allowed", "refused", "add the address"),
        (19024, "Key Words Not Found", "refused", "add the keyword couponpress"),
    ],
)
def test_answers(code, words, verdict, cure):
    answer = answer_of(200, json.dumps({"code": code, "msg": words, "data": {}}).encode())
    assert (answer.verdict, answer.words) == (verdict, f"code {code}: {words}")
    assert answer.cure.startswith(cure)
    assert bool(answer.cure) == bool(cure)


def test_older_answers_are_read_too():
    body = json.dumps({"StatusCode": 0, "StatusMessage": "success"}).encode()
    assert answer_of(200, body).verdict == "taken"
