"""What the tests on a real server share."""

import pytest
import redis

from tests.builders import assert_consistent


@pytest.fixture
def client(redis_url):
    """A plain client of the server; whatever a test did, the ledger must be consistent after it."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
        assert_consistent(client)
