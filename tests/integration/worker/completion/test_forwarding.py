"""Callbacks of other kinds reach the other system as they came, and its answer comes back, in bounded time."""

import asyncio
from contextlib import contextmanager

import pytest
import redis
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from couponpress.ledger.notices import NoticeLedger
from couponpress_worker.completion.forwarding import ForwardedOnce, Forwarder
from couponpress_worker.runtime.redis_server import free_port
from tests.builders import KEYS
from tests.serving import served

HEADERS = {
    "Host": "shop.example",
    "Content-Length": "999",
    "Transfer-Encoding": "chunked",
    "Connection": "keep-alive",
    "Content-Type": "application/json",
    "Request-ID": "08F5-0",
    "Wechatpay-Nonce": "n",
    "Wechatpay-Signature": "c2lnbmF0dXJl",
    "User-Agent": "Mozilla/4.0",
}


@contextmanager
def other_system(answer):
    came = []

    async def take(request):
        came.append((request.headers, await request.body()))
        return await answer()

    with served(Starlette(routes=[Route("/coupons", take, methods=["POST"])])) as port:
        yield f"http://127.0.0.1:{port}/coupons", came


def forwarded(answer, *, times=1, headers=HEADERS, **options):
    """Forward the same callback a few times at once. Returns the statuses and what came."""

    async def act(url):
        forwarder = Forwarder(url, **options)
        statuses = await asyncio.gather(*(forwarder.forward(headers, b'{"a": 1}\n') for _ in range(times)))
        await forwarder.aclose()
        return statuses

    with other_system(answer) as (url, came):
        return asyncio.run(act(url)), came


def saying(status):
    async def answer():
        return Response(status_code=status, headers={"Location": "/coupons"})

    return answer


@pytest.mark.parametrize(
    ("status", "told"), [(200, 200), (204, 204), (201, 502), (302, 502), (400, 400), (404, 404), (500, 500)]
)
def test_its_answer_comes_back_and_a_redirect_is_not_followed(status, told):
    statuses, came = forwarded(saying(status))
    assert statuses == [told]
    assert len(came) == 1


def test_bytes_and_headers_are_passed_on_as_they_came():
    _, ((headers, body),) = forwarded(saying(204))
    assert body == b'{"a": 1}\n'
    assert headers["Content-Length"] == "9"
    assert headers["Host"].startswith("127.0.0.1:")
    assert "Transfer-Encoding" not in headers
    for name in ("Content-Type", "Request-ID", "Wechatpay-Nonce", "Wechatpay-Signature", "User-Agent"):
        assert headers[name] == HEADERS[name]


def test_a_system_that_takes_too_long_is_not_waited_for():
    async def answer():
        await asyncio.sleep(30)

    assert forwarded(answer, seconds=0.2)[0] == [504]


def test_no_more_than_so_many_are_under_way():
    async def answer():
        await asyncio.sleep(0.5)
        return Response(status_code=204)

    statuses, came = forwarded(answer, times=5, most_under_way=3)
    assert sorted(statuses) == [204, 204, 204, 503, 503]
    assert len(came) == 3


def test_a_system_that_is_not_there_is_told():
    async def act():
        forwarder = Forwarder(f"http://127.0.0.1:{free_port()}/coupons")
        status = await forwarder.forward(HEADERS, b"{}")
        await forwarder.aclose()
        return status

    assert asyncio.run(act()) == 502


def test_a_header_that_cannot_be_sent_is_told():
    assert forwarded(saying(204), headers={"Wechatpay-Nonce": "a\nb"}) == ([502], [])


# --- each once --------------------------------------------------------------------------------------------------------


def forwarded_once(url, answers, *bodies):
    """Forward these callbacks one after the other. Returns the statuses and what the other system saw."""
    seen = []

    async def other(headers, body):
        seen.append(body)
        return answers[len(seen) - 1]

    async def act():
        async with Redis.from_url(url) as connection:
            once = ForwardedOnce(other, NoticeLedger(connection, KEYS))
            return [await once.forward(HEADERS, body) for body in bodies]

    return asyncio.run(act()), seen


FIRST, SECOND = b'{"id": "EV-1", "event_type": "COUPON.SEND"}', b'{"id": "EV-2"}'


def test_what_was_taken_is_not_passed_on_again(redis_url):
    statuses, seen = forwarded_once(redis_url, [200, 204], FIRST, FIRST, SECOND, FIRST, SECOND)
    assert statuses == [200, 204, 204, 204, 204]
    assert seen == [FIRST, SECOND]
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.ttl(KEYS.passed_on("EV-1")) <= 3600


def test_what_was_not_taken_is_passed_on_again(redis_url):
    statuses, seen = forwarded_once(redis_url, [500, 504, 200], *[FIRST] * 4)
    assert (statuses, len(seen)) == ([500, 504, 200, 204], 3)


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"id": 7}', b'{"id": ""}', b'{"id": "a b"}', b"[" * 9999])
def test_what_has_no_usable_id_is_passed_on_each_time(redis_url, body):
    assert forwarded_once(redis_url, [200, 200], body, body) == ([200, 200], [body, body])


def test_without_redis_everything_is_passed_on(caplog):
    away = f"redis://127.0.0.1:{free_port()}/0"
    assert forwarded_once(away, [200, 200], FIRST, FIRST) == ([200, 200], [FIRST, FIRST])
    assert "perhaps again" in caplog.text
