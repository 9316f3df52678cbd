"""Whole fleets run with a fifth of the real spans: leases, looks, timeouts; what a test waits for scales with them.

A file that sets REAL_SPANS proves the product's own spans and takes as long as they do.
"""

from collections.abc import Iterator

import pytest

from tests.flow.spans import SCALE


@pytest.fixture(scope="module", autouse=True)
def spans(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the services of a module's fleets run with a fifth of the spans."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "REAL_SPANS", False):
            patch.setenv("COUPONPRESS_TIMING_SCALE", str(SCALE))
        yield
