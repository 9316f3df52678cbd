"""Every refusal is a problem document, and every error has one or is nobody's."""

import json

import pytest
import redis

from couponpress import (
    ConflictError,
    InputError,
    Problem,
    RedisFullError,
    RedisRestartedError,
    RedisUnavailableError,
    UnknownRunError,
)
from couponpress.gateway.problems import KINDS, Refusal, broken_rules, pointer, refusal_of


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
