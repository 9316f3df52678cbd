"""What every test may use: a real server, started once, emptied before each test that asks for it."""

import os
import signal
from collections.abc import Iterator

import pytest
import redis
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from couponpress_worker.runtime import redis_server

# A developer's own settings must not leak into the tests.
for name in [name for name in os.environ if name.startswith("COUPONPRESS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]

# A shell starts what it runs in the background with Ctrl-C ignored, and every process that a test starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def is_of_a_fleet(nodeid: str) -> bool:
    return nodeid.startswith("tests/flow/")


class FleetsAlone(LoadScopeScheduling):
    """Several processes take tests as they have time; fleets all go to one, for their rates need both cores."""

    def _split_scope(self, nodeid: str) -> str:
        return "fleets" if is_of_a_fleet(nodeid) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FleetsAlone:
    config.option.loadscopereorder = False  # they come last, when the other process has nothing left to do
    return FleetsAlone(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: is_of_a_fleet(item.nodeid))


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
