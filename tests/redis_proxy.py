"""A real TCP proxy before a Redis server: it ends TLS, or knows no HELLO as the proxies of some cloud providers.

One port takes TLS and plain connections, told apart by their first byte, so that Sentinels can watch a server through a
proxy that clients reach by TLS.
"""

import contextlib
import re
import select
import socket
import ssl
import threading

TLS_HANDSHAKE = b"\x16"
HELLO = re.compile(rb"\*\d+\r\n\$5\r\nHELLO\r\n", re.IGNORECASE)


def server_context(files, client=None):
    """What ends TLS with these certificates; with the authority of `client` only for who shows a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    if client is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client)
    return context


class RedisProxy:
    """Runs in threads of its own; use as a context manager.

    Args:
        upstream: the server's port on 127.0.0.1.
        tls: an SSL context that ends TLS; None passes everything as plain.
        knows_hello: whether HELLO is passed on. Else it is answered as an unknown command.

    Attributes:
        hellos: how many times HELLO was refused.
        encrypted: how many connections came by TLS.
    """

    def __init__(self, upstream, tls=None, knows_hello=True):
        self._upstream, self._tls, self._knows_hello = upstream, tls, knows_hello
        self.hellos = self.encrypted = 0
        self._open = set()

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(client.close)
            if self._tls is not None and client.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE:
                client = self._tls.wrap_socket(client, server_side=True)
                stack.callback(client.close)
                self.encrypted += 1
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._upstream)))
            both = {client, server}
            self._open |= both
            stack.callback(self._open.difference_update, both)
            self._carry(client, server)

    def _carry(self, client, server):
        """Carry bytes both ways in one thread: TLS bears no reader beside a writer in Python 3.11."""
        while True:
            pending = getattr(client, "pending", lambda: 0)()
            for source in [client] if pending else select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                if source is client and not self._knows_hello and HELLO.match(data):
                    self.hellos += 1
                    client.sendall(b"-ERR unknown command 'HELLO'\r\n")
                else:
                    (server if source is client else client).sendall(data)
