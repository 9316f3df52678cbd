"""Shares of brands: set, shown, taken back, noted in the audit log, and in force from the next chunk on."""

import pytest

from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.ledger.shares import MOST_PER_SECOND, MOST_WEIGHT, Share
from tests.builders import KEYS, producer_settings
from tests.integration.producers.ledger.test_flows import A, B, Counter, brands_picked, enqueue, picked


@pytest.fixture
def producer(redis_url):
    with Client(producer_settings(redis_url)) as one:
        yield one


def test_a_share_is_kept_and_taken_back(producer, client):
    assert producer.shares() == []
    producer.set_share(Share("2", 3), why="a large shop")
    producer.set_share(Share("1", 1, 10))
    assert producer.shares() == [Share("1", 1, 10), Share("2", 3)]
    noted = [(one.act, one.brand, one.detail, one.why, one.result) for one in producer.audit()]
    assert noted == [
        ("share", "1", "weight 1, at most 10/second", "", "done"),
        ("share", "2", "weight 3", "a large shop", "done"),
    ]
    producer.set_share(Share("1"))
    producer.set_share(Share("2"))
    assert producer.shares() == []
    assert not client.exists(KEYS.shares, KEYS.share_rests)


@pytest.mark.parametrize("share", [Share("1", 0), Share("1", MOST_WEIGHT + 1), Share("1", 1, 0), Share("1", 1, -1)])
def test_a_share_out_of_bounds_is_refused(producer, share):
    with pytest.raises(InputError, match="whole number from 1"):
        producer.set_share(share)
    with pytest.raises(InputError, match=str(MOST_PER_SECOND)):
        producer.set_share(Share("1", 1, MOST_PER_SECOND + 1))
    assert producer.shares() == []


def test_a_share_is_in_force_from_the_next_chunk_on(redis_url, producer, client):
    enqueue(client, A, *[10] * 40)
    enqueue(client, B, *[10] * 40)
    picked(redis_url, 10)
    producer.set_share(Share(A, 4))
    told = Counter(brands_picked(redis_url, 25))
    assert 19 <= told[A] <= 21


@pytest.mark.parametrize("share", [Share(A), Share(A, 1, 10_000)], ids=["taken back", "raised"])
def test_a_brand_that_rests_goes_on_with_its_new_share(redis_url, producer, client, share):
    producer.set_share(Share(A, 1, 1))
    enqueue(client, A, *[100] * 3)
    picked(redis_url, 1)
    assert picked(redis_url, 1)[0].why == "capped"
    producer.set_share(share)
    assert brands_picked(redis_url, 1) == [A]
