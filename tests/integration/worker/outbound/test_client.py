"""Calls to URLs that others wrote: checked addresses only, and through a real proxy, in every way in which one fails.

Every receiver is on 127.0.0.0/8. Where a rule of the real internet is proven, the connections are recorded, not made.
"""

import asyncio
import logging
import ssl

import httpcore
import httpx
import pytest

from couponpress.transport import proxy as proxy_module
from couponpress.transport.proxy import ProxyRule
from couponpress.transport.web_address import never_called, not_public
from couponpress_worker.outbound import checked_backend
from couponpress_worker.outbound.checked_backend import RefusedAddressError
from couponpress_worker.outbound.client import client
from couponpress_worker.runtime.redis_server import free_port
from tests.connect_proxy import ConnectProxy
from tests.sandboxes import running
from tests.shop import shop


class Recorded(httpcore.AsyncNetworkBackend):
    """Connects to nothing, and notes where it was to go."""

    def __init__(self):
        self.asked = []

    async def connect_tcp(self, host, port, *_, **__):
        self.asked.append(f"{host}:{port}")
        raise httpcore.ConnectError("recorded")


def resolving(**names):
    async def resolve(host, port):
        return names[host.replace(".", "_")]

    return resolve


def got(url, *, rule=None, forbids=never_called, **options):
    async def get():
        async with client(
            rule=rule or ProxyRule(), forbids=forbids, connections=4, seconds=options.pop("seconds", 5), **options
        ) as opened:
            return await opened.get(url)

    return asyncio.run(get())


def through(proxy):
    return ProxyRule.of({"COUPONPRESS_PROXY": proxy.url})


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forbids", [never_called, not_public])
@pytest.mark.parametrize(
    "found",
    [["169.254.169.254"], ["10.0.0.1", "169.254.169.254"], ["fe80::1%eth0"], ["::ffff:169.254.169.254"], ["0.0.0.0"]],
)
def test_a_name_that_leads_to_a_forbidden_address_is_connected_to_nowhere(found, forbids):
    recorded = Recorded()
    with pytest.raises(RefusedAddressError, match=r"shop\.example leads to"):
        got("http://shop.example/", forbids=forbids, resolve=resolving(shop_example=found), backend=recorded)
    assert recorded.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xA9FEA9FE", "[::ffff:a9fe:a9fe]", "169.254.43518"])
def test_every_spelling_goes_through_the_same_check(host):
    recorded = Recorded()
    with pytest.raises(RefusedAddressError, match="a link-local address"):
        got(f"http://{host}/", backend=recorded)
    assert recorded.asked == []


def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_is_looked_up_once():
    recorded, asked = Recorded(), []

    async def resolve(host, port):
        asked.append(host)
        return ["10.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with pytest.raises(httpx.ConnectError, match="recorded"):
        got("http://shop.example:81/", resolve=resolve, backend=recorded)
    assert recorded.asked == ["10.0.0.1:81"]
    assert asked == ["shop.example"]


def test_an_address_that_does_not_answer_is_followed_by_the_next():
    with shop({"/": (200, {}, b"good")}) as base:
        port = base.rpartition(":")[2]
        answer = got(f"http://shop.example:{port}/", resolve=resolving(shop_example=["127.0.0.9", "127.0.0.1"]))
    assert answer.text == "good"


def test_a_redirect_is_not_followed():
    with shop({"/": (302, {"Location": "http://127.0.0.1:9/"}, b"")}) as base:
        assert got(f"{base}/").status_code == 302


def test_no_log_holds_a_query_or_a_password(caplog):
    caplog.set_level(logging.DEBUG)
    with shop({"/?token=hunter2": (200, {}, b"")}) as base, ConnectProxy(login="me:swordfish") as proxy:
        assert got(f"{base}/?token=hunter2").status_code == 200
        assert got(f"{base}/?token=hunter2", rule=through(proxy)).status_code == 200
    assert "HTTP Request" in caplog.text
    assert "hunter2" not in caplog.text
    assert "swordfish" not in caplog.text


# --- proxies ----------------------------------------------------------------------------------------------------------


def test_a_proxy_is_asked_for_the_checked_address_and_the_receiver_sees_the_name():
    seen = []
    with shop({"/a": (200, {}, b"good")}, seen) as base, ConnectProxy(login="me:p w") as proxy:
        port = base.rpartition(":")[2]
        rule = ProxyRule.of({"HTTP_PROXY": proxy.url.replace(" ", "%20")})

        async def post():
            async with client(
                rule=rule, forbids=never_called, connections=1, seconds=5, resolve=resolving(shop_example=["127.0.0.1"])
            ) as opened:
                return await opened.post(f"http://shop.example:{port}/a", content=b"1")

        assert asyncio.run(post()).text == "good"
        assert proxy.asked == [f"CONNECT 127.0.0.1:{port}"]
    assert seen[0][0]["Host"] == f"shop.example:{port}"


def test_a_proxy_is_not_asked_for_a_forbidden_address():
    with ConnectProxy() as proxy, pytest.raises(RefusedAddressError):
        got("http://shop.example/", rule=through(proxy), resolve=resolving(shop_example=["169.254.169.254"]))
    assert proxy.asked == []


def test_without_a_check_the_proxy_looks_names_up():
    with shop({"/": (200, {}, b"good")}) as base, ConnectProxy(names={"only.proxy": "127.0.0.1"}) as proxy:
        port = base.rpartition(":")[2]
        assert got(f"http://only.proxy:{port}/", rule=through(proxy), forbids=None).text == "good"
        assert proxy.asked == [f"CONNECT only.proxy:{port}"]


@pytest.mark.parametrize("host", ["127.0.0.2", "2130706434", "[::ffff:127.0.0.2]"])
def test_a_proxy_that_looks_names_up_is_not_asked_for_an_address_that_is_forbidden(host):
    recorded = Recorded()
    rule = ProxyRule.of({"COUPONPRESS_PROXY": "http://127.0.0.1:9"})
    options = {"rule": rule, "backend": recorded, "proxy_resolves": True}
    with pytest.raises(RefusedAddressError, match="which is forbidden here"):
        got(f"http://{host}/", forbids=lambda _: "forbidden here", **options)
    assert recorded.asked == []
    with pytest.raises(httpx.ProxyError):
        got("http://only.proxy/", forbids=lambda _: "forbidden here", **options)
    assert recorded.asked == ["127.0.0.1:9"]


def test_tls_verifies_the_name_through_a_proxy_and_directly(tmp_path, monkeypatch):
    with running(tmp_path / "sandbox", tls=True) as sandbox, ConnectProxy() as proxy:
        url = sandbox.environment["COUPONPRESS_BASE_URL"]
        trusted = ssl.create_default_context(cafile=sandbox.environment["COUPONPRESS_CA_FILE"])
        monkeypatch.setattr("couponpress_worker.outbound.client._ssl_context", lambda: trusted)
        port = url.rpartition(":")[2]
        resolve = resolving(localhost=["127.0.0.1"], shop_example=["127.0.0.1"])
        for rule in (ProxyRule(), through(proxy)):
            assert got(f"https://localhost:{port}/v3/none", rule=rule, resolve=resolve).status_code >= 400
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                got(f"https://shop.example:{port}/", rule=rule, resolve=resolve)
        assert proxy.asked == [f"CONNECT 127.0.0.1:{port}"] * 2


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("refuse", r"refused the connection \(403 Forbidden\)"),
        ("html", "answered with a web page"),
        ("close", "without an answer"),
        ("garbage", "is no HTTP proxy"),
        ("stall", "did not answer within"),
    ],
)
def test_a_proxy_that_fails_is_named(mode, words, monkeypatch):
    monkeypatch.setattr(checked_backend, "ANSWER_SECONDS", 0.3)
    with ConnectProxy(mode=mode, login="me:swordfish") as proxy:
        with pytest.raises(httpx.ProxyError, match=words) as told:
            got("http://127.0.0.1:9/", rule=through(proxy))
        assert f"http://***@127.0.0.1:{proxy.port}" in str(told.value)
        assert "swordfish" not in str(told.value)


def test_a_proxy_that_wants_another_password_or_is_not_there_is_named():
    with ConnectProxy(login="me:swordfish") as proxy:
        rule = ProxyRule.of({"COUPONPRESS_PROXY": f"http://me:wrong@127.0.0.1:{proxy.port}"})
        with pytest.raises(httpx.ProxyError, match=r"wants another user name or password .*correct COUPONPRESS_PROXY"):
            got("http://127.0.0.1:9/", rule=rule)
        assert proxy.refused_logins == 1
    nobody = ProxyRule.of({"COUPONPRESS_PROXY": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(httpx.ProxyError, match=r"cannot be reached .*check COUPONPRESS_PROXY"):
        got("http://127.0.0.1:9/", rule=nobody)
    assert proxy_module.ANSWER_SECONDS == 10
