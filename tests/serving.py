"""An ASGI application behind real sockets, as every service of couponpress serves one, for the length of a block."""

import socket
import threading
from contextlib import closing, contextmanager

from couponpress.transport.bounded_http import Bounds
from couponpress.transport.listening import listen
from couponpress.transport.serve import server_of


@contextmanager
def served(asgi, **bounds):
    """Yields the port."""
    (listener,) = listen("127.0.0.1", 0)
    server = server_of(asgi, Bounds(**bounds), in_hand_seconds=1)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def connected(port, *pieces):
    """A client that has sent these bytes, and may wait for 10 s."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        for piece in pieces:
            client.sendall(piece)
        yield client


def read_all(client):
    """What the server sent until it closed the connection; b"" also when it broke it."""
    read = b""
    try:
        while piece := client.recv(65536):
            read += piece
    except ConnectionResetError:
        pass
    return read
