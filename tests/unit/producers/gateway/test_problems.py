"""Every refusal is a problem document, and every error has one or is nobody's."""

import ast
import json
import re
from pathlib import Path

import pytest
import redis

import couponpress
from couponpress import (
    ConflictError,
    InputError,
    Problem,
    RedisFullError,
    RedisRestartedError,
    RedisUnavailableError,
    UnknownRunError,
    gateway,
)
from couponpress.gateway.asked_language import asking
from couponpress.gateway.problem_sentences import KNOWN, in_words
from couponpress.gateway.problems import KINDS, Refusal, broken_rules, pointer, refusal_of
from couponpress.language import gettext, speaking
from tests.trees import nodes_of, texts_of


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Refusal("busy", "wait"), 429, "busy"),
        (UnknownRunError("shop/may"), 404, "no-such-run"),
        (ConflictError("task-1", "other/may"), 409, "conflict"),
        (InputError("another producer is uploading"), 409, "conflict"),
        (RedisUnavailableError("redis://x", "gone"), 503, "redis-away"),
        (RedisRestartedError("redis://x"), 503, "redis-away"),
        (RedisFullError("redis://x"), 503, "redis-full"),
        (redis.ConnectionError("gone"), 503, "redis-away"),
        (redis.TimeoutError("slow"), 503, "redis-away"),
        (redis.OutOfMemoryError("full"), 503, "redis-full"),
        (redis.ReadOnlyError("replica"), 503, "redis-away"),
        (redis.ResponseError("MISCONF disk"), 503, "redis-away"),
    ],
)
def test_what_is_foreseen_is_told(error, status, kind):
    response = refusal_of(error).response()
    told = json.loads(response.body)
    assert (response.status_code, told["status"], told["type"]) == (status, status, f"/docs#{kind}")
    assert response.media_type == "application/problem+json"
    assert told.keys() >= {"type", "title", "status", "detail"}
    assert ("retry-after" in response.headers) == (status == 503)


@pytest.mark.parametrize("error", [ValueError("x"), redis.ResponseError("ERR wrong"), KeyError("x")])
def test_what_nobody_foresaw_is_not_dressed_up(error):
    assert refusal_of(error) is None


def test_another_shop_s_run_is_never_named():
    assert "other/may" not in json.dumps(refusal_of(ConflictError("task-1", "other/may")).document())
    assert "secret" not in json.dumps(refusal_of(RedisUnavailableError("redis://secret@x", "gone")).document())


def test_a_missing_token_is_asked_for_as_http_says():
    assert refusal_of(Refusal("no-token", "none")).response().headers["www-authenticate"].startswith("Bearer")


def test_seconds_to_wait_are_a_header():
    assert Refusal("busy", "x", retry_after_seconds=7).response().headers["retry-after"] == "7"


def test_fields_are_json_pointers():
    assert pointer() == "#"
    assert pointer("a", 1, "b/c~d é") == "#/a/1/b~1c~0d%20%C3%A9"
    assert pointer("\udc80") == "#/%3F"
    (told,) = broken_rules([Problem("combine_image.type", "is required", "secret")], 3)
    assert told == {"line": 3, "pointer": "#/combine_image/type", "rule": "is required"}


def test_every_kind_says_what_to_do():
    assert all(400 <= kind.status < 600 and kind.title and kind.cure for kind in KINDS.values())


def test_title_and_detail_are_told_in_the_language_that_is_asked_for():
    refusal = Refusal("conflict", "the selection is done; only one that is counted can be acted on", errors=[{"a": 1}])
    english = refusal.response()
    with asking("zh-CN,zh;q=0.9"):
        chinese = refusal.response()
    told, same = json.loads(chinese.body), json.loads(english.body)
    assert told["title"] == "请求与已保存的内容矛盾"
    assert told["detail"] == "该选择的状态为 done；只有计数完成的选择才能操作"
    assert {name: told[name] for name in told if name not in {"title", "detail"}} == {
        name: same[name] for name in same if name not in {"title", "detail"}
    }
    assert (chinese.headers["content-language"], english.headers["content-language"]) == ("zh-CN", "en")
    assert chinese.headers["vary"] == english.headers["vary"] == "Accept-Language"


#: Details that the code puts together of parts, with examples.
COMPOSED = {
    "7: token 7 is not for brand 7": [
        "the body: token shop is not for brand 7",
        "line 3: token shop is not for brand 7",
    ],
    "7 breaks 7": [f"{where} breaks {what}" for where in ("the body", "line 3") for what in ("a rule", "2 rules")],
    "7 is not JSON: 7": ["the body is not JSON: EOF", "line 3 is not JSON: EOF"],
    "the 7 parameter 7 7": [
        "the header parameter Idempotency-Key must be 1 to 200 printable ASCII characters without blanks"
    ],
    "task_id 7 is known already, 7": [
        "task_id a is known already, in run may with another body",
        "task_id a is known already, in a run that is not yours",
    ],
}


def details():
    """The detail of each refusal of the code; a 7 stands for each value."""
    for path in sorted(Path(gateway.__file__).parent.glob("*.py")):
        for function in nodes_of(path):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            assigned = {
                node.targets[0].id: node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "Refusal":
                    detail = call.args[1]
                    detail = assigned.get(detail.id, detail) if isinstance(detail, ast.Name) else detail
                    if isinstance(detail, ast.Constant):
                        yield detail.value
                    elif isinstance(detail, ast.JoinedStr):
                        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in detail.values)


def test_every_refusal_of_the_code_is_known_in_chinese():
    found = set(details())
    assert len(found) > 25
    with speaking("zh_CN"):
        assert {kind for kind, one in KINDS.items() if gettext(one.title) == one.title} == set()
        assert {detail for detail in found if in_words(detail) == detail} == COMPOSED.keys()
        for examples in COMPOSED.values():
            assert [one for one in examples if in_words(one) == one] == []


def test_every_known_detail_is_one_of_the_code():
    told = "\n".join(
        text
        for path in Path(couponpress.__file__).parent.rglob("*.py")
        if path.name != "problem_sentences.py"
        for text in texts_of(path)
    )
    for sentence in KNOWN:
        # Where a value stands, and where the code joins two texts, a sentence comes in parts.
        for part in re.split(r"%\(\w+\)s|[;:,] | or more|\b(?:the body|line|specs?|1)\b| s\b", sentence):
            assert part.strip(" .:;,") in told, sentence
