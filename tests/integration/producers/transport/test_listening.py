"""A service's sockets: which addresses they serve, under which URL, and what is said when they cannot be opened."""

import socket

import pytest

from couponpress.errors import ListenError
from couponpress.transport.listening import listen, url_of


def closed(sockets):
    for one in sockets:
        one.close()


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("[::1]", "[::1]")]
)
def test_the_url_is_one_that_can_be_opened(host, told):
    sockets = listen(host, 0)
    port = sockets[0].getsockname()[1]
    assert url_of(sockets[0], "https") == f"https://{told}:{port}"
    closed(sockets)


def test_every_address_of_both_families_is_served():
    sockets = listen("::", 0)
    port = sockets[0].getsockname()[1]
    assert url_of(sockets[0]) == f"http://[::1]:{port}"
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port), timeout=5).close()
    closed(sockets)


def test_a_name_is_served_on_each_of_its_addresses():
    sockets = listen("localhost", 0)
    assert len({one.getsockname()[1] for one in sockets}) == 1
    for one in sockets:
        socket.create_connection(one.getsockname()[:2], timeout=5).close()
    closed(sockets)


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [("127.0.0.1", 80000, "port 80000"), ("nowhere.invalid", 8800, "nowhere.invalid"), ("203.0.113.1", 0, "assign")],
)
def test_what_cannot_be_listened_on_is_said_with_a_cure(host, port, told):
    with pytest.raises(ListenError, match=r"Give it another port \(--port\)") as caught:
        listen(host, port)
    assert told in str(caught.value)


def test_a_port_that_is_taken_is_said():
    (first,) = listen("127.0.0.1", 0)
    with pytest.raises(ListenError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])
    first.close()
