"""The platform's transport and signature in a plain httpx client, over two hosts, and through a real proxy."""

import asyncio
import contextlib
import json

import httpx
import pytest
import uvloop

from couponpress.transport.proxy import Proxy, ProxyRule
from couponpress_worker.errors import UntrustedAnswerError
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.wechatpay.auth import SignatureAuth
from couponpress_worker.wechatpay.client import CERTIFICATES_TARGET, NotSent
from couponpress_worker.wechatpay.judgement import Accepted, NoAnswer, judge
from couponpress_worker.wechatpay.signing import Signer, Verifier
from couponpress_worker.wechatpay.transport import NOT_SENT, PlatformTransport
from tests.connect_proxy import ConnectProxy
from tests.integration.worker.wechatpay.test_client import (
    BOTH,
    KEY_ID,
    LOOPS,
    Platform,
    Wire,
    client_of,
    closing,
    keys,
    meeting,
    plain,
    resetting,
    signed_by_us,
    silent,
    submit,
    talking_nonsense,
)

__all__ = ["keys"]


def http_of(keys, url, **options):
    auth = SignatureAuth(
        Signer("1900000001", "5F1C72E2", keys.merchant), Verifier({KEY_ID: keys.platform.public_key()})
    )
    transport = PlatformTransport(url, ssl_context=keys.client, **options)
    return httpx.AsyncClient(transport=transport, auth=auth, base_url=url)


# --- a plain httpx client ---------------------------------------------------------------------------------------------


@LOOPS
@BOTH
def test_a_plain_client_calls_another_endpoint(keys, run, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, _), http_of(keys, platform.url) as http:
            body = b'{"data":[]}'
            platform.reply = lambda wire, _: wire.transport.write(platform.signed(body))
            answer = await http.get(CERTIFICATES_TARGET)
            assert (answer.status_code, answer.json()) == (200, {"data": []})
            assert signed_by_us(keys, platform.requests[0], b"")
            assert platform.requests[0].headers["Wechatpay-Serial"] == KEY_ID
            await http.post("/v3/x", params={"名": "a b"}, json={"a": "形"})
            assert platform.requests[1].target == "/v3/x?%E5%90%8D=a%20b" or "%E5" in platform.requests[1].target
            assert json.loads(platform.requests[1].body) == {"a": "形"}
            assert signed_by_us(keys, platform.requests[1], platform.requests[1].body)
            assert len(platform.wires) == 1

    run(scenario())


def test_a_body_that_is_a_stream_is_sent_whole(keys):
    async def scenario():
        async def pieces():
            yield b'{"a":'
            yield b"1}"

        async with meeting(keys) as (platform, _), http_of(keys, platform.url) as http:
            await http.post("/v3/x", content=pieces())
            [arrived] = platform.requests
            assert (arrived.body, arrived.headers["Content-Length"]) == (b'{"a":1}', "7")
            assert "Transfer-Encoding" not in arrived.headers
            assert signed_by_us(keys, arrived, b'{"a":1}')

    asyncio.run(scenario())


def test_an_answer_that_is_not_the_platform_s_is_not_handed_over(keys):
    async def scenario():
        async with meeting(keys) as (platform, _), http_of(keys, platform.url) as http:
            platform.reply = lambda wire, _: wire.transport.write(platform.signed(b"{}", sent=b"[]"))
            with pytest.raises(UntrustedAnswerError, match="does not hold") as raised:
                await http.get(CERTIFICATES_TARGET)
            assert raised.value.status == 200
            platform.reply = lambda wire, _: wire.transport.write(plain("404 Not Found", b"{}"))
            assert (await http.get(CERTIFICATES_TARGET)).status_code == 404

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (resetting, httpx.ReadError),
        (closing, httpx.ReadError),
        (talking_nonsense, httpx.RemoteProtocolError),
        (silent, httpx.ReadTimeout),
    ],
)
def test_what_breaks_after_the_request_was_written_is_no_error_of_connecting(keys, reply, error):
    async def scenario():
        async with meeting(keys) as (platform, _), http_of(keys, platform.url) as http:
            platform.reply = reply
            with pytest.raises(error) as raised:
                await http.get(CERTIFICATES_TARGET, timeout=httpx.Timeout(5, read=0.2))
            assert not isinstance(raised.value, NOT_SENT)
            assert len(platform.requests) == 1

    asyncio.run(scenario())


def test_a_request_that_must_not_leave_is_refused(keys):
    async def scenario():
        async with meeting(keys) as (platform, _), http_of(keys, platform.url) as http:
            for url, method in ((f"https://127.0.0.1:{free_port()}/", "GET"), (f"{platform.url}/", "HEAD")):
                with pytest.raises(httpx.UnsupportedProtocol):
                    await http.request(method, url)
            with pytest.raises(httpx.LocalProtocolError, match="line break"):
                await http.get("/", headers={"X": "a\r\nY: b"})
            assert platform.requests == []

    asyncio.run(scenario())


def test_the_gate_comes_as_an_extension(keys):
    async def scenario():
        async with meeting(keys) as (platform, _), http_of(keys, platform.url) as http:

            async def too_late():
                raise NotSent("late")

            with pytest.raises(NotSent):
                await http.get(CERTIFICATES_TARGET, extensions={"gate": too_late})
            assert platform.requests == []
            await http.get(CERTIFICATES_TARGET)
            assert len(platform.wires) == 1

    asyncio.run(scenario())


# --- several hosts ----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def listening(keys, port):
    loop = asyncio.get_running_loop()
    platform = Platform(keys, f"https://127.0.0.1:{port}")
    server = await loop.create_server(lambda: Wire(platform), "127.0.0.1", port, ssl=keys.server)
    try:
        yield platform
    finally:
        for wire in platform.wires:
            wire.transport.abort()
        server.close()
        await server.wait_closed()


@LOOPS
def test_the_next_host_is_used_while_the_first_cannot_be_reached(keys, run, caplog):
    caplog.set_level("INFO")

    async def scenario():
        port = free_port()
        first_url = f"https://127.0.0.1:{port}"
        async with meeting(keys) as (second, _):
            client = client_of(keys, first_url, fallback_urls=(second.url,))
            client.transport._first_again_seconds = 0.05
            gates = []

            async def gate():
                gates.append(True)

            # Each of many at once passes its gate once, and is sent once.
            answers = await asyncio.gather(*(submit(client, gate) for _ in range(5)))
            assert [judge(one) for one in answers] == [Accepted()] * 5
            assert (len(gates), len(second.requests)) == (5, 5)
            assert second.requests[0].headers["Host"] == second.url.removeprefix("https://")
            async with listening(keys, port) as first:
                while not first.requests:
                    assert judge(await submit(client, gate)) == Accepted()
                assert first.requests[0].headers["Host"] == f"127.0.0.1:{port}"
                assert len(gates) == len(first.requests) + len(second.requests)
                sent = len(second.requests)
                assert judge(await submit(client)) == Accepted()
                assert len(second.requests) == sent
            await client.aclose()

    run(scenario())
    told = [one for one in caplog.messages if one.startswith("requests go to")]
    assert len(told) == 2
    assert "Cannot connect" in told[0]
    assert told[1].endswith("again")


def test_a_host_that_was_sent_to_is_not_left_for_what_it_answers(keys):
    async def scenario():
        async with meeting(keys) as (first, _), meeting(keys) as (second, _):
            client = client_of(keys, first.url, fallback_urls=(second.url,))
            first.reply = closing
            assert await submit(client) == NoAnswer("open", "the connection broke before an answer came")
            assert second.requests == []
            await client.aclose()

    asyncio.run(scenario())


def test_no_host_at_all_was_not_sent_and_every_one_is_named(keys):
    async def scenario():
        ports = [free_port(), free_port()]
        client = client_of(keys, *(f"https://127.0.0.1:{ports[0]}",), fallback_urls=(f"https://127.0.0.1:{ports[1]}",))
        answer = await submit(client)
        assert answer.kind == "not_sent"
        assert all(str(port) in answer.what for port in ports)
        await client.aclose()

    asyncio.run(scenario())


# --- through a proxy --------------------------------------------------------------------------------------------------


def through(proxy):
    return ProxyRule(explicit=Proxy.parse(proxy.url, "COUPONPRESS_PROXY"))


@LOOPS
@BOTH
@pytest.mark.parametrize("login", [None, "user:p@ss"])
def test_requests_go_through_a_tunnel(keys, run, tls, login):
    async def scenario(proxy):
        async with meeting(keys, tls=tls, proxies=through(proxy)) as (platform, client):
            for _ in range(3):
                assert judge(await submit(client)) == Accepted()
            assert proxy.asked == [f"CONNECT {platform.url.partition('://')[2]}"]
            assert all("Proxy-Authorization" not in one.headers for one in platform.requests)

    with ConnectProxy(login and login.replace("@", "%40")) as proxy:
        proxy.login = login
        url = f"http://{login.replace('p@', 'p%40')}@127.0.0.1:{proxy.port}" if login else proxy.url
        proxied = type("Told", (), {"url": url, "asked": proxy.asked})
        run(scenario(proxied))
        assert proxy.refused_logins == 0


@LOOPS
@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("refuse", "refused the connection (403"),
        ("stall", "did not answer within 0.3 s"),
        ("html", "a web page instead of a connection"),
        ("close", "closed the connection without an answer"),
        ("garbage", "is no HTTP proxy"),
    ],
)
def test_a_proxy_that_opens_no_connection_is_named_and_nothing_was_sent(keys, run, mode, why):
    async def scenario(proxy):
        async with meeting(keys, proxies=through(proxy), connect_seconds=0.3) as (platform, client):
            answer = await submit(client)
            assert answer.kind == "not_sent"
            assert f"the proxy http://127.0.0.1:{proxy.port}" in answer.what
            assert why in answer.what
            assert platform.requests == []

    with ConnectProxy(mode=mode) as proxy:
        run(scenario(proxy))


def test_a_wrong_password_and_a_host_that_the_proxy_does_not_reach_are_named(keys):
    async def scenario(proxy):
        rule = ProxyRule(explicit=Proxy.parse(f"http://user:wrong-secret@127.0.0.1:{proxy.port}", "COUPONPRESS_PROXY"))
        client = client_of(keys, f"https://127.0.0.1:{free_port()}", proxies=rule)
        refused = await submit(client)
        proxy.login = None
        unreached = await submit(client)
        await client.aclose()
        assert refused.kind == unreached.kind == "not_sent"
        assert "another user name or password" in refused.what
        assert "secret" not in refused.what
        assert "502" in unreached.what

    with ConnectProxy("user:right") as proxy:
        asyncio.run(scenario(proxy))


def test_a_proxy_that_is_not_there_is_named(keys):
    async def scenario():
        rule = ProxyRule(explicit=Proxy.parse(f"http://127.0.0.1:{free_port()}", "COUPONPRESS_PROXY"))
        async with meeting(keys, proxies=rule) as (platform, client):
            answer = await submit(client)
            assert answer.kind == "not_sent"
            assert "cannot be reached" in answer.what
            assert platform.requests == []

    uvloop.run(scenario())


def test_a_certificate_inside_the_tunnel_is_checked_for_the_platform_s_name(keys):
    async def scenario(proxy):
        async with meeting(keys) as (platform, _):
            named = platform.url.replace("127.0.0.1", "api.example")
            client = client_of(keys, named, proxies=through(proxy))
            answer = await submit(client)
            assert answer.kind == "not_sent"
            assert "certificate" in answer.what
            assert proxy.asked == [f"CONNECT {named.removeprefix('https://')}"]
            assert platform.requests == []
            await client.aclose()

    with ConnectProxy(names={"api.example": "127.0.0.1"}) as proxy:
        asyncio.run(scenario(proxy))
