"""The first address that answers is used, whatever the others do."""

import asyncio
import socket
from contextlib import closing, contextmanager

import pytest

from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.wechatpay.happy_eyeballs import Addresses, first_connected, in_turn


def address(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


@contextmanager
def listening(host="127.0.0.1", backlog=8):
    with closing(socket.socket()) as listener:
        listener.bind((host, 0))
        listener.listen(backlog)
        yield listener.getsockname()


@contextmanager
def silent():
    """An address that answers nobody: its queue of connections is full."""
    with listening(backlog=0) as at, closing(socket.socket()) as first, closing(socket.socket()) as second:
        first.connect(at)
        second.setblocking(False)
        second.connect_ex(at)
        yield at


def connect(*found, **options):
    """Returns the address that was connected to."""

    async def act():
        with closing(await first_connected([address(*one) for one in found], **options)) as connected:
            assert connected.getblocking() is False
            return connected.getpeername()

    return asyncio.run(act())


def test_an_address_that_refuses_is_passed_over_at_once():
    with listening() as good:
        assert connect(("127.0.0.1", free_port()), good, delay_seconds=60) == good


def test_a_silent_address_is_not_waited_for():
    with silent() as bad, listening() as good:
        assert connect(bad, good, delay_seconds=0.01) == good


def test_the_first_address_is_used_as_long_as_it_answers():
    with listening() as first, listening() as second:
        assert connect(first, second) == first


def test_ipv6_and_ipv4_alternate():
    found = [address(host, 443) for host in ("::1", "::2", "::3", "192.0.2.1", "192.0.2.2")]
    assert [one[4][0] for one in in_turn(found)] == ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"]


def test_when_no_address_answers_every_reason_is_told():
    with pytest.raises(OSError, match=r"127\.0\.0\.1.*; .*127\.0\.0\.2"):
        connect(("127.0.0.1", free_port()), ("127.0.0.2", free_port()))


@pytest.mark.parametrize("name", ["a" * 70 + ".invalid", "a..invalid"])
def test_a_name_that_cannot_be_one_is_an_error_as_any_other(name):
    with pytest.raises(OSError, match="label"):
        asyncio.run(Addresses(name, 80).connect())


def test_callers_share_one_lookup_until_connecting_fails(monkeypatch):
    asked = []
    found = []

    async def act():
        loop = asyncio.get_running_loop()

        async def lookup(host, port, **options):
            asked.append(host)
            return list(found)

        monkeypatch.setattr(loop, "getaddrinfo", lookup)
        addresses = Addresses("pay.example", 443)
        with listening() as at:
            found.append(address(*at))
            for connected in await asyncio.gather(*(addresses.connect() for _ in range(5))):
                connected.close()
            assert asked == ["pay.example"]
        found[0] = address("127.0.0.1", free_port())
        addresses._found = list(found)
        with pytest.raises(OSError, match="Connect call failed"):
            await addresses.connect()
        with listening() as at:
            found[0] = address(*at)
            (await addresses.connect()).close()
        assert asked == ["pay.example"] * 2

    asyncio.run(act())
