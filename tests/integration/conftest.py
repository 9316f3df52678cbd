"""What the tests on a real server share."""

import pytest
import redis

from tests.builders import assert_consistent


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
