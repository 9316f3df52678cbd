"""What the log says of a Redis that is away or refuses: a line for each kind and minute, with the cure."""

import redis

from couponpress.errors import InputError, RedisFullError, RedisUnavailableError
from couponpress.gateway.problems import Refusal
from couponpress.gateway.store_troubles import StoreTroubles


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_for_each_kind_and_minute(caplog):
    clock = Clock()
    troubles = StoreTroubles(clock)
    for _ in range(50):
        troubles.note(redis.ConnectionError("Connection refused"))
        troubles.note(redis.TimeoutError("Timeout"))
        troubles.note(redis.exceptions.NoPermissionError("User gateway has no permissions to run the 'get' command"))
        troubles.note(redis.ReadOnlyError("You can't write against a read only replica."))
        troubles.note(redis.OutOfMemoryError("maxmemory"))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 4
    assert "does not answer (Connection refused)" in told[0]
    assert "ACL SETUSER" in told[1]
    assert "name the primary" in told[2]
    assert "maxmemory" in told[3]
    clock.now = 60
    troubles.note(RedisUnavailableError("redis://127.0.0.1", "gone"))
    assert "99 requests more failed so since the last line" in caplog.records[-1].getMessage()
    clock.now = 120
    troubles.note(RedisUnavailableError("redis://127.0.0.1", "gone"))
    assert "more failed" not in caplog.records[-1].getMessage()


def test_refusals_by_redis_count_and_others_do_not(caplog):
    troubles = StoreTroubles(Clock())
    troubles.note(Refusal("redis-away", "no answer of the store within 10 s"))
    troubles.note(RedisFullError("redis://127.0.0.1"))
    troubles.note(Refusal("redis-full", "nothing of this request was stored"))
    troubles.note(Refusal("too-large", "the body may have 3 bytes"))
    troubles.note(InputError("a catalog is broken"))
    troubles.note(ValueError("unforeseen"))
    assert len(caplog.records) == 2
