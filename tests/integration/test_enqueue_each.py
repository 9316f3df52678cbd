"""Specs that have nothing to do with one another, enqueued in one call: one that is refused stops no other."""

import pytest

from couponpress import Client, InputError
from couponpress.ledger.uploading import EnqueuedSpec
from tests.builders import KEYS, chunk_ids, hints, producer_settings, spec

NEW = EnqueuedSpec(None, same=True)


@pytest.fixture
def producer(redis_url):
    with Client(producer_settings(redis_url)) as producer:
        yield producer


def test_all_new_is_one_chunk_and_one_hint(producer, client):
    assert producer.enqueue_each([spec(1), spec(2)], run="may") == [NEW, NEW]
    assert chunk_ids(client) == ["u1.1"]
    assert len(hints(client, KEYS.queue("urgent"))) == 1


def test_each_is_told_for_itself(producer, client):
    producer.enqueue_each([spec(1), spec(2)], run="may")
    told = producer.enqueue_each([spec(1), spec(2, brand_id="7"), spec(3), spec(3), spec(3, brand_id="7")], run="june")
    known, conflict = EnqueuedSpec("may", same=True), EnqueuedSpec("may", same=False)
    assert told == [known, conflict, NEW, EnqueuedSpec("june", same=True), EnqueuedSpec("june", same=False)]
    assert producer.run("june").total == 1
    assert producer.enqueue_each([spec(1)], run="may") == [EnqueuedSpec("may", same=True)]


def test_more_than_a_chunk_holds_become_several(producer, client):
    assert producer.enqueue_each(map(spec, range(1, 251)), run="may") == [NEW] * 250
    assert len(chunk_ids(client)) == 3


def test_a_run_that_got_nothing_is_not_kept(producer, client):
    producer.enqueue_each([spec(1)], run="may")
    producer.enqueue_each([spec(1)], run="june")
    assert [run.run for run in producer.runs()] == ["may"]


def test_a_run_of_the_other_lane_takes_nothing(producer, client):
    producer.enqueue_each([spec(1)], run="may")
    with pytest.raises(InputError, match="lane urgent"):
        producer.enqueue_each([spec(2)], run="may", lane="bulk")
