"""A process that announces itself to a real server."""

import os

import redis

from couponpress.ledger.presence import Present, read_present
from couponpress.transport.announcer import Announcer, announce_start
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.runtime import redis_server
from tests.builders import KEYS
from tests.waiting import soon


def roles(client):
    return [(one.role, one.pid, one.state, one.in_hand) for one in read_present(client, KEYS)]


def test_a_process_is_present_for_the_length_of_its_block(redis_url):
    with redis.Redis.from_url(redis_url) as plain:
        with Announcer(RedisAddress.parse(redis_url), KEYS, "worker", lambda: ("sending", 3)):
            soon(lambda: roles(plain) == [("worker", os.getpid(), "sending", 3)])
        assert roles(plain) == []


def test_while_redis_is_away_the_process_goes_on_and_is_heard_again(tmp_path):
    port = redis_server.free_port()
    server = redis_server.start(tmp_path, port)
    address = RedisAddress.parse(f"redis://127.0.0.1:{port}/0")
    with redis.Redis(port=port) as plain:
        with Announcer(address, KEYS, "gateway", every_seconds=0.05):
            soon(lambda: roles(plain))
            redis_server.stop(server)
            server = redis_server.start(tmp_path, port)
            plain.delete(KEYS.present)
            soon(lambda: roles(plain))
        assert read_present(plain, KEYS) == []
        redis_server.stop(server)


def test_a_server_that_refuses_is_told_once(redis_url, caplog):
    with redis.Redis.from_url(redis_url) as plain:
        plain.set(KEYS.present, "of another type")
        with Announcer(RedisAddress.parse(redis_url), KEYS, "worker", every_seconds=0.02):
            soon(lambda: "Redis does not take that this process runs" in caplog.text)
            plain.delete(KEYS.present)
            soon(lambda: roles(plain))
    assert caplog.text.count("Redis does not take") == 1


def test_what_is_present_is_plain_values():
    assert Present("worker", "one", 7) == Present("worker", "one", 7, "", 0)


def test_a_process_is_present_from_its_start_and_once(redis_url):
    address = RedisAddress.parse(redis_url)
    with redis.Redis.from_url(redis_url) as plain:
        announce_start(address, KEYS, "worker")
        assert roles(plain) == [("worker", os.getpid(), "starting", 0)]
        with Announcer(address, KEYS, "worker", lambda: ("sending", 3)):
            soon(lambda: roles(plain) == [("worker", os.getpid(), "sending", 3)])
        assert roles(plain) == []


def test_a_start_that_redis_does_not_take_goes_on():
    announce_start(RedisAddress.parse(f"redis://127.0.0.1:{redis_server.free_port()}/0"), KEYS, "worker")
