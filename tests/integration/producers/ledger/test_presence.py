"""Which processes run, on a real server."""

import pytest
import redis

from couponpress.ledger.presence import SILENT_SECONDS, PresenceLedger, Present, read_present
from tests.builders import KEYS

WORKER = Present("worker", "one", 7, "sending", 3)
RECEIVER = Present("callback", "two", 8)


def said(url, *acts):
    """Let processes speak: each act is a process's name and what it is, None when it stops."""
    with redis.Redis.from_url(url) as client:
        for owner, present in acts:
            ledger = PresenceLedger(client, KEYS, owner)
            if present is None:
                ledger.leave()
            else:
                ledger.tell(present)


@pytest.fixture
def plain(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def grown_silent(plain, owner, seconds):
    """Move a process's last word into the past."""
    moment, _, what = plain.hget(KEYS.present, owner).partition(b" ")
    plain.hset(KEYS.present, owner, b"%d %s" % (int(moment) - seconds, what))


def test_who_speaks_is_present_and_who_leaves_is_not(redis_url, plain):
    assert read_present(plain, KEYS) == []
    said(redis_url, ("a", WORKER), ("b", RECEIVER), ("a", WORKER))
    assert read_present(plain, KEYS) == [RECEIVER, WORKER]
    said(redis_url, ("a", None))
    assert read_present(plain, KEYS) == [RECEIVER]


def test_who_is_silent_is_gone_and_forgotten_by_the_next_word(redis_url, plain):
    said(redis_url, ("a", WORKER), ("b", RECEIVER))
    grown_silent(plain, "a", SILENT_SECONDS + 2)
    assert read_present(plain, KEYS) == [RECEIVER]
    said(redis_url, ("b", RECEIVER))
    assert plain.hkeys(KEYS.present) == [b"b"]
    assert 0 < plain.ttl(KEYS.present) <= 60


def test_a_full_server_takes_it(redis_url, plain):
    plain.config_set("maxmemory", 1)
    try:
        said(redis_url, ("a", WORKER))
        assert read_present(plain, KEYS) == [WORKER]
    finally:
        plain.config_set("maxmemory", 0)
