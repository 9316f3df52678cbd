"""Specs that have nothing to do with one another, enqueued in one call: one that is refused stops no other."""

import pytest

from couponpress import InputError
from couponpress.ledger.enqueueing import EnqueuedSpec
from tests.builders import KEYS, chunk_ids, cut_out_body, hints, spec


def told(number, known_in=None, *, same=True):
    """What is told of `spec(number)`."""
    return EnqueuedSpec(spec(number).task_id, spec(number).row_id, known_in, same)


def test_all_new_is_one_chunk_and_one_hint(producer, client):
    assert producer.enqueue_each([spec(1), spec(2)], run="may") == [told(1), told(2)]
    assert chunk_ids(client) == ["u1.1"]
    assert len(hints(client, KEYS.queue("urgent"))) == 1


def test_each_is_told_for_itself(producer, client):
    producer.enqueue_each([spec(1), spec(2)], run="may")
    each = producer.enqueue_each([spec(1), spec(2, brand_id="7"), spec(3), spec(3), spec(3, brand_id="7")], run="june")
    assert each[:2] == [told(1, "may"), told(2, "may", same=False)]
    assert each[2:] == [told(3), told(3, "june"), told(3, "june", same=False)]
    assert producer.run("june").total == 1
    assert producer.enqueue_each([spec(1)], run="may") == [told(1, "may")]


def test_ids_that_were_made_are_told(producer, client):
    body = {name: value for name, value in cut_out_body(1).items() if name != "task_id"}
    (one,) = producer.enqueue_each([body], run="may")
    assert [(line.task_id, line.row_id) for line in producer.outcomes("may")] == [(one.task_id, one.row_id)]
    assert one.task_id.startswith("cp_")


def test_more_than_a_chunk_holds_become_several(producer, client):
    assert producer.enqueue_each(map(spec, range(1, 251)), run="may") == [told(number) for number in range(1, 251)]
    assert len(chunk_ids(client)) == 3


def test_a_run_that_got_nothing_is_not_kept(producer, client):
    producer.enqueue_each([spec(1)], run="may")
    producer.enqueue_each([spec(1)], run="june")
    assert [run.run for run in producer.runs()] == ["may"]


def test_a_run_of_the_other_lane_takes_nothing(producer, client):
    producer.enqueue_each([spec(1)], run="may")
    with pytest.raises(InputError, match="lane urgent"):
        producer.enqueue_each([spec(2)], run="may", lane="bulk")
