"""What every test may use: a real server, started once, emptied before each test that asks for it."""

import os
from collections.abc import Iterator

import pytest
import redis

from couponpress_worker import redis_server

# A developer's own settings must not leak into the tests.
for name in [name for name in os.environ if name.startswith("COUPONPRESS_")]:
    del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run one fleet at a time, beside other tests: two would take the cores from each other and miss their rates."""
    for item in items:
        if item.get_closest_marker("flow"):
            item.add_marker(pytest.mark.xdist_group("fleets"))


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """The URL of a server that is empty."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
    return redis_server_url
