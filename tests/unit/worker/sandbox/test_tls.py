import datetime as dt
import ssl
from contextlib import suppress

from cryptography import x509

from couponpress_worker.sandbox import tls

NOW = dt.datetime.now(dt.UTC)


def handshake(files, name):
    """Let a strict client and a server talk in memory."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(files.certificate, files.key)
    client_context = ssl.create_default_context(cafile=files.authority)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up, server_hostname=name)
    server = server_context.wrap_bio(up, down, server_side=True)
    done = set()
    for side in (client, server) * 4:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
            done.add(side)
    assert done == {client, server}
    return client.version()


def test_strict_clients_trust_it_under_every_loopback_name(tmp_path):
    files = tls.prepare(tmp_path, ("sandbox.internal",), NOW)
    for name in ("localhost", "127.0.0.1", "::1", "sandbox.internal"):
        assert handshake(files, name) == "TLSv1.3"


def test_it_is_used_again_until_it_is_old_or_lacks_a_name(tmp_path):
    first = tls.prepare(tmp_path, (), NOW).certificate.read_bytes()
    assert tls.prepare(tmp_path, ("localhost",), NOW).certificate.read_bytes() == first
    second = tls.prepare(tmp_path, ("sandbox.internal",), NOW).certificate.read_bytes()
    assert second != first
    third = tls.prepare(tmp_path, (), NOW + dt.timedelta(days=364.5)).certificate.read_bytes()
    assert third != second
    (tmp_path / "server.pem").write_text("damaged")
    assert x509.load_pem_x509_certificate(tls.prepare(tmp_path, (), NOW).certificate.read_bytes())
