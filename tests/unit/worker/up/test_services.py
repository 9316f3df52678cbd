import socket

from couponpress_worker.up.services import Ports


def test_a_port_that_is_taken_gives_way_to_a_free_one(monkeypatch):
    usual = Ports.free()
    with socket.create_server(("127.0.0.1", usual.gateway)):
        other = Ports.free()
    assert other.gateway != usual.gateway
    assert len({other.redis, other.sandbox, other.callback, other.gateway}) == 4


def test_a_callback_port_that_is_given_is_kept():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert Ports.free(callback=port).callback == port
