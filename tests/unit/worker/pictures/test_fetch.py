"""Which addresses are fetched from: public ones, and none that only looks so."""

import asyncio
import ipaddress
import socket

import pytest

from couponpress.errors import PictureError
from couponpress_worker.pictures.fetch import Fetcher, PrivateAddressError, PublicResolver, require_public

PUBLIC = ["8.8.8.8", "203.119.0.1", "2606:4700::1111"]
PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:0:0:0:0:80ff:fffe"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address):
    require_public("shop.example", ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_other_addresses_do_not(address):
    with pytest.raises(PrivateAddressError, match=r"shop\.example leads to .*, which is no public address"):
        require_public("shop.example", ipaddress.ip_address(address))


@pytest.mark.parametrize("name", ["localhost", "127.1", "0x7f000001", "2130706433"])
def test_a_name_that_leads_to_this_machine_is_refused_however_it_is_spelt(name):
    async def resolve():
        return await PublicResolver().resolve(name, 80)

    with pytest.raises(PrivateAddressError):
        asyncio.run(resolve())


def test_a_name_is_refused_when_any_of_its_addresses_is_not_public(monkeypatch):
    def found(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]

    async def resolve():
        return await PublicResolver().resolve("shop.example", 80)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with pytest.raises(PrivateAddressError, match=r"leads to 10\.0\.0\.1"):
        asyncio.run(resolve())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/a.png", "127.0.0.1 leads to 127.0.0.1, which is no public address; --private-urls allows"),
        ("http://[::1]:8080/a.png", "::1 leads to ::1"),
        ("http://localhost/a.png", "localhost leads to"),
        ("http://127.1/a.png", "is no URL that can be fetched"),
        ("https://me:secret@example.com/a.png", "must not hold a user name or a password"),
        ("http://example.com:99999/a.png", "is no URL that can be fetched"),
        ("http:///a.png", "must be an http"),
    ],
)
def test_what_may_not_be_fetched_is_refused_without_a_connection(url, reason):
    async def fetch():
        fetcher = Fetcher()
        try:
            await fetcher.fetch(url, 100)
        finally:
            await fetcher.aclose()

    with pytest.raises(PictureError, match=reason) as caught:
        asyncio.run(fetch())
    assert "secret" not in str(caught.value)
