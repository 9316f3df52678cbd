"""The id of a request: in its answer and in its log lines, the caller's own if it is a plain one."""

import asyncio
import re

import pytest
from structlog.contextvars import get_contextvars

from couponpress.gateway.request_ids import RequestIds


def answered(path="/v1/runs/may/specs", **headers):
    """Send a request through it; returns the id in the answer and the fields that its log lines had."""
    seen, sent = {}, []

    async def app(scope, receive, send):
        seen.update(get_contextvars())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    asyncio.run(RequestIds(app)({"type": "http", "path": path, "headers": raw}, None, send))
    headers = dict(sent[0]["headers"])
    assert headers[b"etag"] == b"1"
    return headers[b"x-request-id"].decode(), seen


def test_the_callers_id_is_kept():
    assert answered(**{"x-request-id": "shop-17.a_b"}) == ("shop-17.a_b", {"request_id": "shop-17.a_b", "run": "may"})


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 65, "a\nINFO b", "ä", "\x00"])
def test_any_other_is_replaced(given):
    request_id, seen = answered(**({} if given is None else {"x-request-id": given}))
    assert re.fullmatch("[0-9a-f]{16}", request_id)
    assert seen["request_id"] == request_id


@pytest.mark.parametrize(
    ("path", "run"),
    [("/v1/runs/may", "may"), ("/v1/runs/may/x\ny", "may"), ("/v1/runs/a b", ""), ("/v1/runs", ""), ("/may\n", "")],
)
def test_the_run_is_that_of_the_path(path, run):
    assert answered(path)[1]["run"] == run


def test_the_lifespan_passes_through():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope)

    asyncio.run(RequestIds(app)({"type": "lifespan"}, None, None))
    assert passed == [{"type": "lifespan"}]
