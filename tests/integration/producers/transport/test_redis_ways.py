"""Every way to a real server: producers, the fleet and Celery reach it alike."""

import asyncio
import datetime as dt
import subprocess
from contextlib import contextmanager, suppress
from urllib.parse import quote

import pytest
import redis
from celery import Celery
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from couponpress import Client
from couponpress.errors import RedisRefusedError
from couponpress.keys import Keys
from couponpress.ledger.working import WorkLedger
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.app import celery_configuration
from couponpress_worker.runtime import redis_server
from couponpress_worker.sandbox import tls
from couponpress_worker.settings import Settings
from couponpress_worker.store.client import fleet_redis
from tests.builders import MCHID, fleet_values, producer_settings
from tests.redis_proxy import RedisProxy, server_context

KEYS = Keys(MCHID)
LOGIN = "brand:1 @/?#%", "p@ss/w#rd?:密码 %41[]"
PICTURE = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"}
SPEC = {"brand_id": "1", "row_id": "1", "image_generation_type": "CUT_OUT", "cut_out": PICTURE}
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that listens on a port and on a socket, and knows a user whose name and password are awkward."""
    directory = tmp_path_factory.mktemp("server")
    port, path = redis_server.free_port(), directory / "redis.sock"
    process = redis_server.start(directory, port, "--unixsocket", str(path))
    with redis.Redis(port=port) as plain:
        user = quote(LOGIN[0], safe="").replace("%", "_")
        plain.execute_command("ACL", "SETUSER", user, "on", f">{LOGIN[1]}", "~*", "&*", "+@all")
        yield plain, port, path, user
    redis_server.stop(process)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Files of a server and of a client, with the authority that each is to trust."""
    directory = tmp_path_factory.mktemp("tls")
    files = tls.prepare(directory, (), NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "worker")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(NOW - dt.timedelta(days=1)).not_valid_after(NOW + dt.timedelta(days=1))
    (directory / "client.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (directory / "client_key.pem").write_bytes(key.private_bytes(*plain))
    return files, directory / "client.pem", directory / "client_key.pem"


@contextmanager
def sentinel(directory, master_port, password):
    """A Sentinel with a password that watches a server at a port of 127.0.0.1; yields its own port."""
    port = redis_server.free_port()
    (directory / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\nrequirepass {password}\n"
        f"sentinel monitor mymaster 127.0.0.1 {master_port} 1\n"
    )
    with (directory / "sentinel.log").open("wb") as log:
        words = [redis_server.find_server(), str(directory / "sentinel.conf"), "--sentinel"]
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


WAYS = ("plain", "login", "socket", "no HELLO", "no HELLO, login", "TLS", "client certificate", "Sentinel", "RESP3")


@pytest.fixture(params=WAYS)
def url(request, server, certificates, tmp_path):
    plain, port, path, user = server
    plain.flushall()
    files, certificate, key = certificates
    login = f"{user}:{quote(LOGIN[1], safe='')}@"
    authority = f"ssl_ca_certs={quote(str(files.authority))}"
    match request.param:
        case "plain":
            yield f"redis://127.0.0.1:{port}/0"
        case "RESP3":
            yield f"redis://127.0.0.1:{port}/0?protocol=3"
        case "login":
            yield f"redis://{login}127.0.0.1:{port}/5"
        case "socket":
            yield f"unix://{login}{path}?db=3"
        case "no HELLO" | "no HELLO, login":
            with RedisProxy(port, knows_hello=False) as proxy:
                yield f"redis://{login if 'login' in request.param else ''}127.0.0.1:{proxy.port}/0"
        case "TLS":
            with RedisProxy(port, tls=server_context(files)) as proxy:
                yield f"rediss://{login}localhost:{proxy.port}/0?{authority}"
                assert proxy.encrypted
        case "client certificate":
            with RedisProxy(port, tls=server_context(files, certificate)) as proxy:
                own = f"ssl_certfile={quote(str(certificate))}&ssl_keyfile={quote(str(key))}"
                yield f"rediss://127.0.0.1:{proxy.port}/0?{authority}&{own}"
        case "Sentinel":
            context = server_context(files)
            with (
                RedisProxy(port, tls=context) as proxy,
                sentinel(tmp_path, proxy.port, "watch") as watching,
                RedisProxy(watching, tls=context) as before,
            ):
                told = f"{authority}&sentinel_password=watch"
                url = f"sentinels://{login}127.0.0.1:{before.port}/mymaster/2?{told}"
                answering(url)
                yield url
                assert proxy.encrypted
                assert before.encrypted


def answering(url):
    """Wait until a Sentinel that was just started knows its server."""
    again = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200, (redis.ConnectionError,))
    with RedisAddress.parse(url).client(retry=again) as client:
        client.ping()


def test_a_producer_stores_and_a_worker_takes(url):
    with Client(producer_settings(url)) as client:
        assert client.enqueue(SPEC, run="may").new == 1
        assert client.run("may").total == 1
    with Celery("test", set_as_current=False) as app:
        app.conf.update(celery_configuration(Settings.load(fleet_values(redis_url=url))))
        taken = []
        with app.connection_for_read() as connection, app.amqp.TaskConsumer(connection.default_channel) as consumer:
            consumer.on_message = lambda message: (taken.append(message.payload[0][0]), message.ack())
            while not taken:
                connection.drain_events(timeout=10)
    assert len(taken) == 1
    with RedisAddress.parse(url).client() as client:
        assert [name for name in client.scan_iter() if not name.startswith(KEYS.prefix.encode())] == []


def test_the_fleet_runs_scripts_and_hears_channels(url):
    async def act():
        async with fleet_redis(RedisAddress.parse(url)) as client:
            assert await client.register_script("return {1, 'two', false}")() == [1, b"two", None]
            async with client.pubsub() as heard:
                await heard.subscribe(KEYS.holds_changed)
                async with asyncio.timeout(5):
                    while await heard.get_message(timeout=1) is None:  # the server's word that it listens
                        pass
                    await client.publish(KEYS.holds_changed, "partner")
                    while (told := await heard.get_message(True, timeout=1)) is None:
                        pass
                # The end of a subscription waits for nothing, and an end of TLS takes a moment.
                closing = heard.connection._writer
            with suppress(OSError):
                await closing.wait_closed()
            return told["data"]

    assert asyncio.run(act()) == b"partner"


def test_a_proxy_without_hello_refuses_who_insists(server):
    _, port, *_ = server
    with RedisProxy(port, knows_hello=False) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with RedisAddress.parse(url).client() as client:
            client.ping()
        assert proxy.hellos == 0
        with Client(producer_settings(f"{url}?protocol=3")) as client, pytest.raises(RedisRefusedError, match="RESP2"):
            client.ping()
        assert proxy.hellos


@pytest.mark.parametrize(
    ("days_ago", "options", "told"),
    [
        (500, "ssl_ca_certs={files.authority}", "certificate has expired"),
        (0, "", "ssl_ca_certs"),
        (0, "ssl_ca_certs={files.authority}", None),
    ],
)
def test_a_certificate_that_does_not_hold_is_told_with_its_cure(server, tmp_path, days_ago, options, told):
    files = tls.prepare(tmp_path, (), NOW - dt.timedelta(days=days_ago))
    with RedisProxy(server[1], tls=server_context(files)) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0?{options.format(files=files)}"
        with Client(producer_settings(url)) as client:
            if told is None:
                client.ping()
            else:
                with pytest.raises(RedisRefusedError, match=told):
                    client.ping()


def test_a_server_that_wants_a_certificate_says_so(server, certificates):
    files, certificate, _ = certificates
    with RedisProxy(server[1], tls=server_context(files, certificate)) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={files.authority}"
        with Client(producer_settings(url)) as client, pytest.raises(RedisRefusedError, match="ssl_certfile"):
            client.ping()


def test_hints_go_to_a_server_of_their_own(server, redis_url):
    plain, port, *_ = server
    plain.flushall()
    url = f"redis://127.0.0.1:{port}/0"
    with redis.Redis.from_url(redis_url) as broker:
        with Client(producer_settings(url, broker_url=redis_url)) as client:
            client.enqueue(SPEC, run="may", lane="bulk")
        assert broker.llen(KEYS.queue("bulk")) == 1
        assert not plain.exists(KEYS.queue("bulk"))
        assert unannounced(url, redis_url) == []
        with Celery("test", set_as_current=False) as app:
            app.conf.update(celery_configuration(Settings.load(fleet_values(redis_url=url, broker_url=redis_url))))
            taken = []
            with app.connection_for_read() as connection, app.amqp.TaskConsumer(connection.default_channel) as consumer:
                consumer.on_message = lambda message: (taken.append(message.payload[0][0]), message.ack())
                while not taken:
                    connection.drain_events(timeout=10)
        assert taken == ["b1.1"]
        assert unannounced(url, redis_url) == ["b1.1"]


def unannounced(url, broker_url):
    """The chunks whose hints were lost, as recovery sees them."""

    async def act():
        async with (
            fleet_redis(RedisAddress.parse(url)) as client,
            fleet_redis(RedisAddress.parse(broker_url)) as broker,
        ):
            return await WorkLedger(client, KEYS, broker=broker).leases.unannounced()

    return asyncio.run(act())
