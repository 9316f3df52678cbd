"""Quota, Idempotency-Keys and backlog on a real server."""

import threading

import pytest

from couponpress import Client
from couponpress.gateway.quotas import AdmittingLedger, KeyedRequest
from couponpress.outcome import State
from tests.builders import KEYS, bring_to, producer_settings, spec, stored


@pytest.fixture
def ledger(client):
    return AdmittingLedger(client, KEYS)


def test_a_quota_is_never_exceeded_however_many_take_at_once(ledger):
    taken = []

    def take():
        taken.extend(ledger.take_quota("shop", 7, 100).specs for _ in range(10))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100
    assert taken.count(7) == 14


def test_what_is_given_back_may_be_taken_again_on_the_same_day_only(ledger, client):
    first = ledger.take_quota("shop", 10, 10)
    assert (first.specs, 0 < first.seconds <= 86400) == (10, True)
    ledger.give_back_quota("shop", 4, first.day)
    ledger.give_back_quota("shop", 4, "1")
    assert ledger.take_quota("shop", 10, 10).specs == 4
    ledger.give_back_quota("shop", 1000, first.day)
    assert ledger.take_quota("shop", 10, 3).specs == 3
    assert ledger.take_quota("shop", 1, 2).specs == 0
    assert ledger.take_quota("other", 1, 1).specs == 1
    client.hset(KEYS.quota("shop"), "day", int(first.day) - 1)
    assert ledger.take_quota("shop", 10, 10).specs == 10
    assert 0 < client.ttl(KEYS.quota("shop")) <= 86400


ONE = KeyedRequest("shop", "key", b"1" * 32)


def test_a_key_gives_its_first_answer_and_is_nobody_else_s(ledger, client):
    assert ledger.claim([ONE, ONE]) == [b"", b""]
    assert ledger.claim([ONE._replace(digest=b"2"), ONE._replace(token="other")]) == [None, b""]
    assert ledger.settle([(ONE, b"first"), (ONE, b"second")]) == [b"first", b"first"]
    assert ledger.claim([ONE]) == [b"first"]
    assert ledger.settle([(ONE, None)]) == [b"first"]
    assert ledger.claim([ONE._replace(digest=b"2")]) == [None]
    assert 86000 < client.ttl(KEYS.idempotency(ONE.place)) <= 86400


def test_a_claim_that_is_given_up_leaves_the_key_free(ledger):
    ledger.claim([ONE])
    assert ledger.settle([(ONE._replace(digest=b"2"), None)]) == [None]
    assert ledger.settle([(ONE, None)]) == [b""]
    assert ledger.claim([ONE._replace(digest=b"2")]) == [b""]


def test_the_backlog_is_what_waits_in_unfinished_runs(ledger, redis_url):
    assert ledger.backlog() == 0
    done = stored(redis_url, 3, run="done")
    bring_to(redis_url, done, [State.SUCCEEDED] * 3)
    half = stored(redis_url, 5, run="half", first=10)
    bring_to(redis_url, half, [State.ACCEPTED, State.RETRYING])
    with Client(producer_settings(redis_url)) as producer:
        seen = []
        producer.enqueue_many(
            (spec(number) for number in range(100, 350)),
            run="night",
            on_progress=lambda _: seen.append(ledger.backlog()),
        )
    # Chunks are stored beside the reading of the next ones, so what is stored may be some chunks behind.
    assert all(found <= most for found, most in zip(seen, (104, 204, 254), strict=True)), seen
    assert set(seen) <= {4, 104, 204, 254}
    assert seen == sorted(seen)
    assert ledger.backlog() == 254
