"""What kombu does over a channel of ours when the server goes away, on a real server."""

import logging

from kombu import Connection, Queue

from couponpress_worker import redis_server
from couponpress_worker.screening import transport_for


def taken(url):
    """A connection, and a message that it delivered and that is not acknowledged yet."""
    connection, queue, messages = Connection(url, transport=transport_for(url)), Queue("other"), []
    with connection.Producer() as producer:
        producer.publish({}, routing_key=queue.name, declare=[queue])
    with connection.Consumer(queue, callbacks=[lambda _, message: messages.append(message)]):
        connection.drain_events(timeout=5)
    return connection, messages[0]


def test_a_message_is_acknowledged(redis_url, server):
    connection, message = taken(redis_url)
    assert server.hlen("unacked") == 1
    message.ack()
    assert server.hlen("unacked") == 0
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
    (told,) = caplog.records
    assert (told.levelno, told.exc_info) == (logging.INFO, None)
    assert "is not acknowledged and comes again" in told.message
