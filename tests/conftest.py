"""What every test may use: a real server, started once, emptied before each test that asks for it."""

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest
import redis
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from couponpress_worker.runtime import redis_server

# For `make test-quick`: a test that says no number of its own tries a quarter of the usual examples.
hypothesis.settings.register_profile("quick", max_examples=25)

# A developer's own settings must not leak into the tests.
for name in [name for name in os.environ if name.startswith("COUPONPRESS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
# Nor their language.
os.environ["LC_ALL"] = "C.UTF-8"

# A shell starts what it runs in the background with Ctrl-C ignored, and every process that a test starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def is_of_a_fleet(nodeid: str) -> bool:
    return nodeid.startswith("tests/flow/")


class FleetsInLanes(LoadScopeScheduling):
    """Fleets run in two lanes, one after the other in each; the processes that have no lane take all other tests.

    A fleet mostly waits, so two fleets and the other tests share two cores. More fleets at a time would starve each
    other of what their rates need.
    """

    def _split_scope(self, nodeid: str) -> str:
        return f"fleets {fleet_lane(nodeid)}" if is_of_a_fleet(nodeid) else nodeid


def fleet_lane(nodeid: str) -> int:
    """Return the lane of a flow's file: tests of one file share fixtures, and stay together."""
    name = nodeid.partition("::")[0].rpartition("/")[2]
    return 1 if name in SECOND_LANE else 0


#: The files whose fleets run in the second lane; both lanes take about the same time.
SECOND_LANE = {
    "test_fleet.py",
    "test_holds.py",
    "test_limit.py",
    "test_outage.py",
    "test_redis.py",
    "test_up.py",
    "test_nightly.py",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FleetsInLanes:
    config.option.loadscopereorder = False  # the lanes begin first, for they take longest
    return FleetsInLanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not is_of_a_fleet(item.nodeid))


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
