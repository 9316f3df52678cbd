"""A gateway of a module's own, and calls to it as any of its tokens."""

from contextlib import ExitStack

import pytest

from tests.running_gateway import running_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, redis_server_url):
    with running_gateway(tmp_path_factory.mktemp("gateway"), redis_server_url) as one:
        yield one
        assert one.stop() == 0, one.log.read_text()


@pytest.fixture
def call(gateway, client):
    """Call as a token: `call("viewer", "GET", "/runs")`."""
    with ExitStack() as stack:
        callers = {}

        def call(token, method, path, **options):
            if token not in callers:
                callers[token] = stack.enter_context(gateway.caller(token))
            return callers[token].request(method, path, **options)

        yield call
