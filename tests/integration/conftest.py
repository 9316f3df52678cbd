"""What the tests on a real server share."""

import pytest
import redis

from couponpress import Client
from tests.builders import assert_consistent, producer_settings


@pytest.fixture
def server(redis_url):
    """A plain client of the server; whatever a test did, the ledger must be consistent after it."""
    with redis.Redis.from_url(redis_url) as server:
        yield server
        assert_consistent(server)


@pytest.fixture
def client(server):
    """The same, where no client of couponpress's own has the name."""
    return server


@pytest.fixture
def producer(redis_url, server):
    """A client of couponpress's own."""
    with Client(producer_settings(redis_url)) as producer:
        yield producer
