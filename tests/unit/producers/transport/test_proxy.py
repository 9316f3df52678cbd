"""Which way a URL goes: one rule, over the environment's variables."""

import pytest

from couponpress.errors import SettingsError
from couponpress.transport.proxy import Proxy, ProxyRule, connect_objection, connect_request, is_loopback
from tests.builders import producer_settings

PLATFORM = "https://api.mch.weixin.qq.com/v3/certificates"


def way(url, **environment):
    proxy = ProxyRule.of(environment).proxy_for(url)
    return proxy and proxy.address


@pytest.mark.parametrize(
    ("environment", "address", "named_by"),
    [
        ({"COUPONPRESS_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2"}, "a:1", "COUPONPRESS_PROXY"),
        ({"HTTPS_PROXY": "http://b:2", "HTTP_PROXY": "http://c:3"}, "b:2", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://b:2", "https_proxy": "http://d:4"}, "d:4", "https_proxy"),
        ({"COUPONPRESS_PROXY": " ", "https_proxy": "", "HTTPS_PROXY": "b:2"}, "b:2", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://b/"}, "b:80", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://[::2]:8"}, "[::2]:8", "HTTPS_PROXY"),
    ],
)
def test_the_setting_goes_before_the_machine_s_variables(environment, address, named_by):
    proxy = ProxyRule.of(environment).proxy_for(PLATFORM)
    assert (proxy.address, proxy.named_by) == (address, named_by)


def test_https_and_http_have_variables_of_their_own():
    assert way(PLATFORM, HTTP_PROXY="http://c:3") is None
    assert way("http://shop.example/", HTTP_PROXY="http://c:3") == "c:3"
    assert way("http://shop.example/", HTTPS_PROXY="http://b:2") is None
    assert way("http://shop.example/", COUPONPRESS_PROXY="http://a:1") == "a:1"
    assert way(PLATFORM, ALL_PROXY="http://e:5") is None
    assert way(PLATFORM) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", PLATFORM, True),
        ("weixin.qq.com", PLATFORM, True),
        (".weixin.qq.com", PLATFORM, True),
        ("*.weixin.qq.com", PLATFORM, True),
        ("API.mch.weixin.QQ.com", PLATFORM, True),
        ("in.qq.com", PLATFORM, False),
        ("shop.example api.mch.weixin.qq.com", PLATFORM, True),
        ("shop.example, ,qq.com ,", PLATFORM, True),
        ("qq.com:443", PLATFORM, True),
        ("qq.com:8443", PLATFORM, False),
        ("qq.com.", "https://qq.com./", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.1.2.3", "https://10.1.2.3:8443/", True),
        ("10.1.2.3:443", "https://10.1.2.3:8443/", False),
        ("fd00::/8", "https://[fd12::1]/", True),
        ("[fd12::1]:443", "https://[fd12::1]/", True),
        ("1.2.3", "https://10.1.2.3/", False),
        ("", PLATFORM, False),
    ],
)
def test_no_proxy_lists_who_is_called_directly(no_proxy, url, direct):
    for name in ("NO_PROXY", "no_proxy"):
        for proxy in ("HTTPS_PROXY", "COUPONPRESS_PROXY"):
            assert (way(url, **{proxy: "http://b:2", name: no_proxy}) is None) == direct


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.3.2.1", "localhost", "LOCALHOST", "a.localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_called_directly_unless_the_setting_says_otherwise(host):
    url = f"https://{host}:8443/x"
    assert way(url, HTTPS_PROXY="http://b:2") is None
    assert way(url, COUPONPRESS_PROXY="http://b:2") == "b:2"
    assert is_loopback(host.strip("[]"))


def test_why_no_proxy_is_used_is_told():
    rule = ProxyRule.of({"HTTPS_PROXY": "b:2", "NO_PROXY": "qq.com"})
    assert ProxyRule().why_direct(PLATFORM) == "no proxy is set"
    assert rule.why_direct(PLATFORM) == "NO_PROXY lists api.mch.weixin.qq.com"
    assert "COUPONPRESS_PROXY" in rule.why_direct("https://127.0.0.1:1/")


@pytest.mark.parametrize(
    "text",
    [
        "socks5://a:1",
        "https://a:1",
        "http://",
        "http://a:x",
        "http://a:0",
        "http://a:99999",
        "http://a/x",
        "http://a b:1",
        "http://[a:1",
    ],
)
def test_what_is_no_http_proxy_is_refused_without_repeating_it(text):
    for name in ("COUPONPRESS_PROXY", "https_proxy"):
        with pytest.raises(ValueError, match=f"^{name} must read like") as told:
            ProxyRule.of({name: text.replace("://", "://user:hunter2@")})
        assert "hunter2" not in str(told.value)


def test_a_wrong_variable_of_the_machine_does_no_harm_beside_the_setting():
    assert way(PLATFORM, COUPONPRESS_PROXY="http://a:1", HTTPS_PROXY="socks5://b:2") == "a:1"


@pytest.mark.parametrize("url", ["ftp://shop.example/", "shop.example", "https:///x"])
def test_only_http_urls_have_a_way(url):
    with pytest.raises(ValueError, match="http"):
        ProxyRule.of({"COUPONPRESS_PROXY": "a:1"}).proxy_for(url)


def test_user_and_password_are_sent_and_never_shown():
    proxy = Proxy.parse("http://us%40er:p%3Aw@a:1", "HTTPS_PROXY")
    assert (proxy.username, proxy.password) == ("us@er", "p:w")
    assert proxy.authorization == "Basic dXNAZXI6cDp3"
    assert proxy.shown == "http://***@a:1"
    assert proxy.url == "http://us%40er:p%3Aw@a:1"
    assert "p:w" not in repr(ProxyRule(explicit=proxy))
    assert connect_request(proxy, "::2", 443) == (
        b"CONNECT [::2]:443 HTTP/1.1\r\nHost: [::2]:443\r\nUser-Agent: couponpress\r\n"
        b"Proxy-Authorization: Basic dXNAZXI6cDp3\r\n\r\n"
    )
    open_to_all = Proxy.parse("a:1", "HTTPS_PROXY")
    assert (open_to_all.authorization, open_to_all.shown) == (None, "http://a:1")
    assert b"Authorization" not in connect_request(open_to_all, "b", 1)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", None),
        (b"HTTP/1.0 200\r\n\r\n", None),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "user name or password"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n", "refused the connection (403 Forbidden)"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "refused the connection (302 Found)"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n", "a web page"),
        (b"<html>", "no HTTP proxy"),
        (b"", "without an answer"),
    ],
)
def test_a_proxy_that_opens_no_connection_is_named(head, words):
    told = connect_objection(Proxy.parse("http://user:hunter2@a:1", "HTTPS_PROXY"), head)
    assert told is None if words is None else words in told
    if told:
        assert "http://***@a:1" in told
        assert "hunter2" not in told


def test_the_settings_hold_the_rule(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://b:2")
    assert producer_settings().proxy_rule.proxy_for(PLATFORM).address == "b:2"
    settings = producer_settings(proxy="http://user:hunter2@a:1")
    assert settings.proxy_rule.proxy_for(PLATFORM).authorization
    assert "hunter2" not in repr(settings)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:hunter2@b:2")
    with pytest.raises(SettingsError, match=r"^HTTPS_PROXY must read like") as told:
        _ = producer_settings().proxy_rule
    assert "hunter2" not in str(told.value)
    with pytest.raises(SettingsError, match=r"^COUPONPRESS_PROXY must read like[^;]*; a proxy that is spoken to by"):
        producer_settings(proxy="socks5://user:hunter2@b:2")
