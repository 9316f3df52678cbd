"""The Celery app as Celery sees it, on a real broker."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from celery import Celery, signals

from couponpress import Client, ProducerSettings
from couponpress.keys import SUBMIT_TASK, Keys, queue_name
from couponpress_worker import app as app_module
from couponpress_worker.app import celery_configuration
from couponpress_worker.settings import Settings
from couponpress_worker.submission.celery_consumer import _quiet
from couponpress_worker.submission.task_results import TaskResults

MCHID = "1900000109"
KEYS = Keys(MCHID)


@pytest.fixture
def settings(redis_url):
    nowhere = Path("/nonexistent")
    return Settings.load(
        {
            "redis_url": redis_url,
            "mchid": MCHID,
            "mch_serial_no": "AB12",
            "mch_private_key_file": nowhere,
            "wechatpay_public_key_id": "PUB_KEY_ID_01",
            "wechatpay_public_key_file": nowhere,
            "apiv3_key_file": nowhere,
        }
    )


@pytest.fixture
def app(settings):
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_configuration(settings))
    yield app
    app.close()


def spec(number):
    picture = {"image_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"}
    return {"brand_id": "1", "row_id": str(number), "image_generation_type": "CUT_OUT", "cut_out": picture}


def test_urgent_hints_are_taken_before_chunks_in_hand_and_those_before_bulk(app, redis_url):
    with Client(ProducerSettings.load({"redis_url": redis_url, "mchid": MCHID})) as client:
        client.enqueue_many([spec(1)], run="bulk", lane="bulk")
        client.enqueue(spec(2), run="urgent", lane="urgent")
    app.send_task(SUBMIT_TASK, args=["b9.9"], queue=queue_name(KEYS, KEYS.queue_again))
    taken = []
    with app.connection_for_read() as connection, app.amqp.TaskConsumer(connection.default_channel) as consumer:
        consumer.on_message = lambda message: (taken.append(message.payload[0][0]), message.ack())
        while len(taken) < 3:
            connection.drain_events(timeout=10)
    assert taken == ["u2.1", "b9.9", "b1.1"]


def test_a_message_carries_nothing_but_the_chunk_s_id(redis_url):
    with Client(ProducerSettings.load({"redis_url": redis_url, "mchid": MCHID})) as client:
        client.enqueue_many([spec(number) for number in range(250)], run="bulk")
    with redis.Redis.from_url(redis_url) as server:
        messages = [json.loads(message) for message in server.lrange(KEYS.queue("bulk"), 0, -1)]
    assert [message["headers"]["argsrepr"] for message in messages] == ["['b1.3']", "['b1.2']", "['b1.1']"]
    assert {message["headers"]["task"] for message in messages} == {SUBMIT_TASK}
    assert {message["content-type"] for message in messages} == {"application/json"}
    assert max(len(json.dumps(message)) for message in messages) < 2000


def test_nothing_but_json_is_taken(app):
    assert app.conf.accept_content == ["json"]


@pytest.mark.parametrize("asked_for", [False, True])
def test_remote_control_and_results_are_there_for_who_asks(settings, asked_for):
    values = settings.model_dump() | {"celery_control": asked_for, "celery_results": asked_for}
    with Celery("test", set_as_current=False) as app:
        app.conf.update(celery_configuration(Settings.load(values)))
        assert app.conf.worker_enable_remote_control is asked_for
        assert isinstance(app.backend, TaskResults) is asked_for
        assert _quiet(app, {}).get("without_gossip", False) is not asked_for


def test_a_worker_waits_for_one_list_per_queue(app, server):
    with server.monitor() as seen, app.connection_for_read() as connection:
        with app.amqp.TaskConsumer(connection.default_channel), pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        waited = next(one["command"] for one in seen.listen() if one["command"].startswith("BRPOP"))
    assert waited.split()[1:-1] == list(KEYS.queues)
    assert server.keys() == []  # no table of bindings


@pytest.mark.filterwarnings("ignore:You.re running the worker with superuser:celery.exceptions.SecurityWarning")
@pytest.mark.parametrize("concurrency", [3, 20])
def test_the_concurrency_of_a_worker_bounds_its_chunks_in_hand(app, monkeypatch, concurrency):
    started = []
    monkeypatch.setattr(app_module, "this_process", started.append)
    worker = app.Worker(concurrency=concurrency, pool="threads")
    app_module._wire_threads(SimpleNamespace(controller=worker))
    assert started == [concurrency]


def test_a_child_of_prefork_has_one_chunk_in_hand(monkeypatch):
    """Each of the `--concurrency` children takes one task at a time, so the worker has as many chunks as children."""
    started = []
    monkeypatch.setattr(app_module, "this_process", lambda *, concurrency: started.append(concurrency))
    signals.worker_process_init.send(sender=None)
    assert started == [1]
