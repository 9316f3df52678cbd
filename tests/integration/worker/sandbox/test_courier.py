"""Callbacks reach a real receiver, and are sent again until it accepts them."""

import asyncio
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox.courier import Courier, Delivery
from couponpress_worker.sandbox.notices import Notice
from couponpress_worker.sandbox.signatures import Signatures
from tests.serving import served
from tests.waiting import until

BODY = b'{"id": "EV-1"}'


class Key:
    """Signs with what it is given."""

    def sign(self, message):
        return f"{len(message)} bytes"


def deliver(*deliveries):
    """Returns the courier when nothing waits any more."""

    async def act():
        courier = Courier(Signatures("PUB_KEY_ID_1", Key(), time.time))
        await courier.open()
        for delivery in deliveries:
            courier.send(delivery)
        await until(lambda: courier.waiting == 0)
        await courier.close()
        return courier

    return asyncio.run(act())


def delivered(*statuses, path="/callback", repeats=0, count=1, probe=False):
    """Send callbacks to a receiver that answers with these statuses, the last one from then on."""
    came = []

    async def take(request):
        came.append((request.headers, await request.body()))
        status = statuses[min(len(came), len(statuses)) - 1]
        return Response(status_code=status, headers={"Location": "/elsewhere"})

    with served(Starlette(routes=[Route("/callback", take, methods=["POST"])])) as port:
        url = f"http://127.0.0.1:{port}{path}"
        courier = deliver(*(Delivery(url, Notice("EV-1", BODY), repeats, 0.01, probe=probe) for _ in range(count)))
    return courier.counts, came


def test_a_callback_carries_its_body_and_the_signature_of_it():
    counts, ((headers, body),) = delivered(204)
    assert counts == {"sent": 1}
    assert body == BODY
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(BODY))
    assert headers["wechatpay-serial"] == "PUB_KEY_ID_1"
    assert headers["wechatpay-signature"].endswith("bytes")
    assert headers["request-id"]


@pytest.mark.parametrize("status", [201, 302, 404, 500])
def test_any_other_answer_is_sent_again_and_no_redirect_followed(status):
    counts, came = delivered(status, 500, 200, repeats=5)
    assert counts == {"failed": 2, "sent": 1}
    assert len(came) == 3


def test_after_the_last_repeat_it_is_given_up():
    counts, came = delivered(503, repeats=2)
    assert counts == {"failed": 3, "given_up": 1}
    assert len(came) == 3


def test_a_probe_comes_first_with_a_signature_that_does_not_hold():
    counts, came = delivered(401, 204, probe=True)
    assert counts == {"probes": 1, "probes_believed": 0, "sent": 1}
    signatures = [headers["wechatpay-signature"] for headers, _ in came]
    assert [one.startswith("WECHATPAY/SIGNTEST/") for one in signatures] == [True, False]


def test_many_share_few_connections():
    counts, came = delivered(200, count=300)
    assert counts == {"sent": 300}
    assert len({headers["request-id"] for headers, _ in came}) == 300


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/callback", "http://a..invalid/callback", "http://[", "https://127.0.0.1:{}/"]
)
def test_a_url_that_leads_nowhere_fails_and_stops_no_lane(url):
    counts = deliver(*[Delivery(url.format(free_port()), Notice("EV-1", BODY), 0, 0.01)] * 100).counts
    assert counts == {"failed": 100, "given_up": 100}
