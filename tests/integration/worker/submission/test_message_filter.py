"""Hints in hand, on a real server that goes away or is full: they come again, and the log says so in a line."""

import logging

from kombu import Connection, Exchange, Queue

from couponpress.keys import Keys
from couponpress.transport.broker import broker_settings, name_of
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.runtime import redis_server
from couponpress_worker.submission.message_filter import ScreeningTransport
from tests.builders import MCHID

KEYS = Keys(MCHID)


def taken(url):
    """A connection, and a message that it delivered and that is not acknowledged yet."""
    settings = broker_settings(RedisAddress.parse(url), KEYS)
    options = settings["broker_transport_options"] | {"screened_mchid": MCHID}
    connection = Connection(settings["broker_url"], transport=name_of(ScreeningTransport), transport_options=options)
    queue, messages = Queue("other", Exchange(""), routing_key="other"), []
    with connection.Producer() as producer:
        producer.publish({}, routing_key=queue.name, declare=[queue])
    with connection.Consumer(queue, callbacks=[lambda _, message: messages.append(message)]):
        connection.drain_events(timeout=5)
    return connection, messages[0]


def assert_one_line(caplog, words):
    (told,) = caplog.records
    assert (told.levelno, told.exc_info) == (logging.INFO, None)
    assert words in told.message


def test_a_message_is_acknowledged(redis_url, server):
    connection, message = taken(redis_url)
    assert server.hlen(KEYS.unacked) == 1
    message.ack()
    assert server.hlen(KEYS.unacked) == 0
    connection.close()


def test_a_full_server_keeps_them_for_later(redis_url, server, caplog):
    connection, message = taken(redis_url)
    server.config_set("maxmemory", 1)
    try:
        caplog.set_level(logging.INFO)
        message.channel.qos.restore_visible()
    finally:
        server.config_set("maxmemory", 0)
    assert_one_line(caplog, "come again later: command not allowed")
    message.ack()
    assert server.hlen(KEYS.unacked) == 0
    connection.close()


def test_a_message_whose_server_went_away_comes_again_which_is_told_in_a_line(tmp_path, caplog):
    port = redis_server.free_port()
    process = redis_server.start(tmp_path, port)
    try:
        connection, message = taken(f"redis://127.0.0.1:{port}/0")
        redis_server.stop(process)
        connection.collect()  # what Celery does with a connection that is lost
        caplog.set_level(logging.INFO)
        caplog.clear()
        message.ack_log_error(logging.getLogger("consumer"), connection.connection_errors)
    finally:
        redis_server.stop(process)
    assert_one_line(caplog, "is not acknowledged and comes again")
