"""What every test may use: a real server, started once, emptied before each test that asks for it."""

import datetime as dt
import gc
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
import redis
import redis.utils
from xdist.remote import Producer
from xdist.scheduler import EachScheduling
from xdist.workermanage import WorkerController

from couponpress_worker.runtime import redis_server
from couponpress_worker.sandbox import tls
from couponpress_worker.wechatpay import signing
from tests import processes

TESTS = Path(__file__).parent

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("usual", deadline=None)
hypothesis.settings.load_profile("usual")
# For `make test-quick`: a quarter of the usual examples, also of those that say a number by tests.examples.
hypothesis.settings.register_profile("quick", max_examples=25, deadline=None)

# Imports and collected tests are hardly ever garbage: see pytest_collection_finish.
gc.disable()

# A developer's own settings must not leak into the tests.
for name in [name for name in os.environ if name.startswith("COUPONPRESS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
# Nor their language.
os.environ["LC_ALL"] = "C.UTF-8"

# All calls go to this machine, and none to a host that a public authority vouches for. Reading the system's authorities
# takes 30 ms of CPU for every client and in every process; reading one takes none.
AUTHORITIES = TemporaryDirectory(prefix="couponpress-tests-")
os.environ["SSL_CERT_FILE"] = str(tls.prepare(Path(AUTHORITIES.name), (), dt.datetime.now(dt.UTC)).authority)

# Every client of Redis tells the library's version, and reads it anew from files: the tests make thousands.
redis.utils.get_lib_version = cache(redis.utils.get_lib_version)
# Reading a private key proves that its numbers are primes, for 40 ms. The same bytes are the same key.
signing.load_pem_private_key = cache(signing.load_pem_private_key)

# A shell starts what it runs in the background with Ctrl-C ignored, and every process that a test starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: `make test` has a process for each lane: all take about the same time. A fleet mostly waits, so some fleets and the
#: other tests share two cores. More fleets at a time would starve each other of what their rates need.
#: What flows run in which lane; the first lane of flows has all others, and so those that share `plain_fleet`.
FLOWS = {
    "flows-1": (),
    "flows-2": ("chaos", "console", "fleet", "limit", "nightly", "pages", "poison", "stuck", "traces", "up"),
    "flows-3": ("holds", "redis", "shutdown"),
}
#: Rooms of integration tests that run after the flows of a lane.
AFTER_FLOWS = {
    "producers/gateway": "flows-3",
    "worker/doctor": "flows-1",
    "worker/pictures": "flows-1",
    "worker/rate": "flows-2",
}
LANES = ("unit", "producers", "worker", *FLOWS)
#: How far lanes without fleets stand back. That of the worker waits for much, so it needs the most time.
NICENESS = {"unit": 10, "producers": 6, "worker": 3}
#: `make test-quick` has two. Each is a process of its own, which collects its own files alone and reports to nobody.
QUICK_LANES = ("quick-producers", "quick-worker")


def is_of(lane: str, path: Path) -> bool:
    """Whether a file of tests runs in a lane."""
    if lane not in QUICK_LANES:
        return lane_of(path) == lane
    if path.is_relative_to(TESTS / "unit" / "producers"):
        return lane == "quick-producers"
    quick = path.is_relative_to(TESTS / "unit") or path.stem in {"test_layout", "test_translated_pages"}
    return quick and lane == "quick-worker"


def lane_of(path: Path) -> str:
    """Return the lane of a file of tests in `make test`."""
    name, (kind, *rooms) = path.stem.removeprefix("test_"), path.relative_to(TESTS).parts[:-1] or ("",)
    if kind == "flow":
        return next((lane for lane, names in FLOWS.items() if name in names), "flows-1")
    if kind == "integration":
        return AFTER_FLOWS.get("/".join(rooms[:2])) or ("producers" if rooms[:1] == ["producers"] else "worker")
    return "unit"


def lanes_of(folder: str) -> tuple[str, ...]:
    """Return the lanes that a folder of tests may have files of."""
    told = {"flow": tuple(FLOWS), "integration": ("producers", "worker", *AFTER_FLOWS.values())}
    return told.get(folder, ("unit", *QUICK_LANES))


class Lanes(EachScheduling):
    """Each process runs all that it collects, and begins as soon as it has collected it."""

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        super().add_node_collection(node, collection)
        self.config.pluginmanager.getplugin("dsession")._session.testscollected = sum(
            map(len, self.node2collection.values())
        )
        self.node2pending[node] = list(range(len(collection)))
        node.send_runtest_all()
        node.shutdown()
        self._started.append(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes | None:
    return Lanes(config, log) if config.getvalue("dist") == "each" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lane", choices=(*LANES, *QUICK_LANES), help="run the tests of one lane alone")


def own_lane(config: pytest.Config) -> str | None:
    """Return the lane that this process runs; None where it runs whatever it is told."""
    name: str | None = getattr(config, "workerinput", {}).get("workerid", config.getoption("lane"))
    return name if name in (*LANES, *QUICK_LANES) else None


def stand_back_from_fleets(niceness: int, *, alone: bool) -> None:
    """Let fleets, which are judged by their rates, go first; `alone`: nobody's Ctrl-C is for this process.

    Linux may share cores among sessions before it looks at processes (sched(7), autogroup), so both are told.
    """
    os.nice(niceness)
    if alone:
        with suppress(OSError):  # not everywhere
            os.setsid()
            Path("/proc/self/autogroup").write_text(str(niceness), "ascii")


def pytest_configure(config: pytest.Config) -> None:
    if niceness := NICENESS.get(own_lane(config) or ""):
        stand_back_from_fleets(niceness, alone=hasattr(config, "workerinput"))
    if config.getvalue("dist") == "each":
        told = [one.partition("id=")[2] for one in config.getvalue("tx")]
        if sorted(told) != sorted(LANES):
            raise pytest.UsageError(f"each lane needs one process: --tx popen//id=NAME for {', '.join(LANES)}")
        processes.share()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    lane = own_lane(config)
    if not lane:
        return None
    if collection_path.parent == TESTS and collection_path.is_dir():  # its conftest.py imports what its tests need
        return True if lane not in lanes_of(collection_path.name) else None
    return True if collection_path.match("test_*.py") and not is_of(lane, collection_path) else None


def pytest_collection_finish() -> None:
    """Look seldom for garbage, and never among what was imported: it took a sixth of the tests' CPU."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


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
