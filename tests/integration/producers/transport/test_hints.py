"""The hint that a producer writes is the message that Celery and kombu write, on a real server."""

import json
import logging
from base64 import b64decode

import pytest
import redis
from celery import Celery

from couponpress.keys import SUBMIT_TASK, Keys, queue_name
from couponpress.transport.broker import broker_settings
from couponpress.transport.hints import Hints
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.submission.publisher import publish
from tests.builders import MCHID

KEYS = Keys(MCHID)
BULK = queue_name(KEYS, KEYS.queue("bulk"))


@pytest.fixture
def address(redis_url):
    return RedisAddress.parse(redis_url)


@pytest.fixture
def hints(address):
    hints = Hints(address, KEYS)
    yield hints
    hints.close()


@pytest.fixture
def celery(address):
    app = Celery("test", set_as_current=False)
    app.conf.update(broker_settings(address, KEYS))
    yield app
    app.close()


def ids_of(message):
    """Take the ids out of a message that are made for it alone."""
    headers, properties = message["headers"], message["properties"]
    own = {headers.pop("id"), headers.pop("root_id"), properties.pop("correlation_id")}
    return own, properties.pop("delivery_tag")


def test_a_hint_is_the_message_that_celery_writes(hints, celery, redis_url):
    hints.announce(["b12.7"])
    with celery.producer_or_acquire() as producer:
        publish(celery, producer, BULK, "b12.7")
    with redis.Redis.from_url(redis_url) as server:
        theirs, ours = (json.loads(message) for message in server.lrange(KEYS.queue("bulk"), 0, -1))
    for message in (ours, theirs):
        own, tag = ids_of(message)
        assert len(own) == 1
        assert len(tag) == len(own.pop()) == 36
    assert json.loads(b64decode(ours["body"])) == json.loads(b64decode(theirs["body"]))
    assert ours == theirs


def test_celery_takes_it_as_its_own(hints, celery):
    hints.announce(["u1.1"])
    name = queue_name(KEYS, KEYS.queue("urgent"))
    with celery.connection_for_read() as connection, connection.SimpleQueue(name) as queue:
        message = queue.get(timeout=10)
        assert message.payload[0] == ["u1.1"]
        assert message.headers["task"] == SUBMIT_TASK
        message.ack()


def test_each_hint_goes_into_the_queue_of_its_lane_in_their_order(hints, redis_url):
    hints.announce(["b1.1", "u2.1", "b1.2"])
    hints.announce(["b3.1", "u4.1"], again=True)
    with redis.Redis.from_url(redis_url) as server:
        found = {
            queue: [json.loads(one)["headers"]["argsrepr"] for one in server.lrange(queue, 0, -1)]
            for queue in KEYS.queues
        }
    assert found == {
        KEYS.queue("urgent"): ["['u4.1']", "['u2.1']"],
        KEYS.queue_again: ["['b3.1']"],
        KEYS.queue("bulk"): ["['b1.2']", "['b1.1']"],
    }


def test_nothing_to_announce_is_nothing(hints, redis_url):
    hints.announce([])
    with redis.Redis.from_url(redis_url) as server:
        assert not server.exists(*KEYS.queues)


def test_what_a_server_refuses_is_only_told(hints, redis_url, caplog):
    with redis.Redis.from_url(redis_url) as server:
        server.set(KEYS.queue("bulk"), "no list")
    with caplog.at_level(logging.WARNING):
        hints.announce(["b1.1", "b1.2"])
    (record,) = caplog.records
    assert "could not be told of 2 chunks" in record.getMessage()


def test_a_server_that_is_away_is_only_told(caplog):
    hints = Hints(RedisAddress.parse("redis://127.0.0.1:1/0"), KEYS)
    with caplog.at_level(logging.WARNING):
        hints.announce(["b1.1"])
    hints.close()
    (record,) = caplog.records
    assert "could not be told of 1 chunks" in record.getMessage()
