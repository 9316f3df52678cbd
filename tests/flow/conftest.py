"""Whole fleets run with a fifth of the real spans: leases, looks, timeouts; what a test waits for scales with them.

A file that sets REAL_SPANS proves the product's own spans and takes as long as they do.

The services are forked from a process that has imported everything. `couponpress demo`, as test_fleet.py starts it, and
the commands of a wheel are started as they are installed, with all that they start.
"""

from collections.abc import Iterator

import pytest

from couponpress_worker.demo.fleet import fleet
from couponpress_worker.runtime.subprocesses import Services
from tests import processes
from tests.flow.spans import SCALE

#: What signs the messages of `plain_fleet` to an app.
HOOK_SECRET = b"a secret of some length"


@pytest.fixture(scope="module", autouse=True)
def spans(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the services of a module's fleets run with a fifth of the spans, and start without the imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Services, "launch", staticmethod(processes.start))
        if getattr(request.module, "REAL_SPANS", False):  # a fleet that outlives its module may have set them
            patch.delenv("COUPONPRESS_TIMING_SCALE", raising=False)
        else:
            patch.setenv("COUPONPRESS_TIMING_SCALE", str(SCALE))
        yield


@pytest.fixture(scope="session")
def plain_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of a fleet with one worker that tests share which need no other; the name of a run is used once."""
    directory = tmp_path_factory.mktemp("plain")
    secret = directory / "hook_secret"
    secret.write_bytes(HOOK_SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUPONPRESS_TIMING_SCALE", str(SCALE))
        patch.setenv("COUPONPRESS_HOOK_SECRET_FILE", str(secret))
        patch.setattr(Services, "launch", staticmethod(processes.start))
        with fleet(directory, "--strict") as (_, env):
            yield env | {"COUPONPRESS_HOOK_SECRET_FILE": str(secret)}
