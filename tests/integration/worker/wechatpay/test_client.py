"""The platform's client over real sockets and real TLS, against a platform whose every byte the tests write."""

import asyncio
import contextlib
import datetime as dt
import gc
import gzip
import ipaddress
import json
import socket
import ssl
import time
import weakref
from dataclasses import dataclass, field
from email.utils import formatdate
from importlib.metadata import version

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from couponpress.outcome import State
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.wechatpay.client import PARTNER, SUBMIT_TARGET, NotSent, WeChatPay
from couponpress_worker.wechatpay.judgement import Accepted, Completed, Hold, NoAnswer, Retry, judge, judge_query
from couponpress_worker.wechatpay.signing import (
    Signer,
    Verifier,
    answer_message,
    request_message,
    sign,
    signature_holds,
)
from tests.builders import rsa_key
from tests.waiting import until

KEY_ID = "PUB_KEY_ID_0001"
SUBMITTED = b'{"brand_id":"120344","task_id":"cp_000001","image_generation_type":"CUT_OUT"}'
ACCEPTED = b'{"task_id":"cp_000001","brand_id":"120344"}'
PROBE = "WECHATPAY/SIGNTEST/" + "2sWfO+6tVVsZonOXBXHOrle0" * 14


@dataclass(frozen=True)
class Keys:
    merchant: rsa.RSAPrivateKey
    platform: rsa.RSAPrivateKey
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Throw-away keys, and a certificate for the loopback address."""
    tls, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, tls.public_key(), 1, now, now + dt.timedelta(days=1))
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(tls, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = tls.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = tmp_path_factory.mktemp("tls") / "chain.pem"
    chain.write_bytes(private + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return Keys(
        rsa_key(0),
        rsa_key(1),
        server,
        ssl.create_default_context(cadata=certificate.decode()),
    )


# --- the platform ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    head: bytes
    body: bytes

    @property
    def target(self):
        return self.head.split(b" ")[1].decode()

    @property
    def headers(self):
        lines = self.head.decode().split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines)

    @property
    def authorization(self):
        scheme, _, rest = self.headers["Authorization"].partition(" ")
        assert scheme == "WECHATPAY2-SHA256-RSA2048"
        return {name: value.strip('"') for name, value in (pair.split("=", 1) for pair in rest.split(","))}


class Wire(asyncio.Protocol):
    """One connection, as the platform sees it."""

    def __init__(self, platform):
        self.platform = platform
        self.received = b""
        self.lost = False

    def connection_made(self, transport):
        self.transport = transport
        self.platform.wires.append(self)
        self.platform.greet(self)

    def data_received(self, data):
        self.received += data
        if self.platform.deaf:
            self.transport.pause_reading()
            return
        while b"\r\n\r\n" in self.received:
            head, _, rest = self.received.partition(b"\r\n\r\n")
            length = int(Request(head, b"").headers.get("Content-Length", 0))
            if len(rest) < length:
                return
            self.received = rest[length:]
            request = Request(head, rest[:length])
            self.platform.requests.append(request)
            self.platform.reply(self, request)

    def connection_lost(self, error):
        self.lost = True


@dataclass
class Platform:
    """Keeps what arrives. `greet` and `reply` are the tests' to set."""

    keys: Keys
    url: str = ""
    deaf: bool = False
    wires: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def greet(self, wire):
        pass

    def reply(self, wire, request):
        wire.transport.write(self.signed())

    def signed(self, body=ACCEPTED, status="200 OK", *, sent=None, **more):
        """A response whose signature holds; `sent` is what travels when it differs from what was signed."""
        now = str(int(time.time()))
        signature = sign(self.keys.platform, answer_message(now, "n0nce", body))
        headers = {
            "Content-Type": "application/json",
            "Request-ID": "08F7-0",
            "Wechatpay-Timestamp": now,
            "Wechatpay-Nonce": "n0nce",
            "Wechatpay-Serial": KEY_ID,
            "Wechatpay-Signature": signature,
        } | {name.replace("_", "-"): value for name, value in more.items()}
        return plain(status, body if sent is None else sent, **headers)


def plain(status, body=b"", **headers):
    sized = (
        headers if status[:3] == "204" or "Transfer-Encoding" in headers else {"Content-Length": len(body)} | headers
    )
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in sized.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def meeting(keys, *, tls=True, trusted=True, **options):
    """A platform and a client of it; both are closed at the end."""
    loop = asyncio.get_running_loop()
    platform = Platform(keys)
    server = await loop.create_server(lambda: Wire(platform), "127.0.0.1", 0, ssl=keys.server if tls else None)
    port = server.sockets[0].getsockname()[1]
    platform.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    client = client_of(keys, platform.url, trusted=trusted, **options)
    try:
        yield platform, client
    finally:
        await client.aclose()
        for wire in platform.wires:
            wire.transport.abort()
        await until(lambda: all(wire.lost for wire in platform.wires))
        server.close()
        await server.wait_closed()


def client_of(keys, url, *, trusted=True, **options):
    return WeChatPay(
        url,
        Signer("1900000001", "5F1C72E2", keys.merchant),
        Verifier({KEY_ID: keys.platform.public_key()}),
        ssl_context=keys.client if trusted else None,
        **options,
    )


async def submit(client, gate=None):
    return await client.submit(client.sign_submit(SUBMITTED), gate)


def connections_in_hand(client):
    return [one for pool in client.transport.pools for one in pool.in_hand if one._transport is not None]


def idle_connections(client):
    return [one for pool in client.transport.pools for one in pool.idle]


LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
BOTH = pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])


# --- the bytes -------------------------------------------------------------------------------------------------------


@LOOPS
@BOTH
def test_a_submit_on_the_wire(keys, run, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):
            request = client.sign_submit(SUBMITTED)
            answer = await client.submit(request)
            host = platform.url.partition("://")[2]
            [arrived] = platform.requests
            assert arrived.body == SUBMITTED
            assert arrived.head.split(b"\r\n")[0] == f"POST {SUBMIT_TARGET} HTTP/1.1".encode()
            assert arrived.headers == {
                "Host": host,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"couponpress/{version('couponpress')}",
                "Wechatpay-Serial": KEY_ID,
                "Content-Type": "application/json",
                "Content-Length": str(len(SUBMITTED)),
                "Authorization": request.authorization,
            }
            assert signed_by_us(keys, arrived, SUBMITTED)
            assert answer.objection is None
            assert answer.content == json.loads(ACCEPTED)
            assert judge(answer) == Accepted()

    run(scenario())


def signed_by_us(keys, request, signed_body):
    parts = request.authorization
    method = request.head.split(b" ")[0].decode()
    message = request_message(method, request.target, parts["timestamp"], parts["nonce_str"], signed_body)
    assert (parts["mchid"], parts["serial_no"]) == ("1900000001", "5F1C72E2")
    assert abs(int(parts["timestamp"]) - time.time()) < 60
    return signature_holds(keys.merchant.public_key(), message, parts["signature"])


@BOTH
def test_a_query_is_asked_for_as_it_was_signed(keys, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):
            url = "https://wxpaylogo.qpic.cn/wxpaylogo/a/0"
            body = json.dumps({"task_state": "SUCCESS", "cut_out_result": {"image_url": url}}).encode()
            platform.reply = lambda wire, _: wire.transport.write(platform.signed(body))
            answer = await client.query("cp_Az-09_", "b-_09", "CUT_OUT")
            [arrived] = platform.requests
            assert arrived.target == f"{SUBMIT_TARGET}/cp_Az-09_?brand_id=b-_09&image_generation_type=CUT_OUT"
            assert signed_by_us(keys, arrived, b"")
            assert set(arrived.headers) == {
                "Host",
                "Accept",
                "Accept-Encoding",
                "User-Agent",
                "Wechatpay-Serial",
                "Authorization",
            }
            assert judge_query(answer) == Completed(State.SUCCEEDED, url)

    asyncio.run(scenario())


def test_the_notify_url_is_asked_for(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            body = b'{"notify_url":"https://partner.example/wechatpay/callback"}'
            platform.reply = lambda wire, _: wire.transport.write(platform.signed(body))
            answer = await client.notify_config()
            assert answer.content == json.loads(body)
            assert platform.requests[0].head.startswith(f"GET {PARTNER.notify_target} HTTP/1.1\r\n".encode())
            assert signed_by_us(keys, platform.requests[0], b"")

    asyncio.run(scenario())


@LOOPS
@pytest.mark.parametrize("size", [1, 2 * 1024 * 1024])
def test_an_upload_is_signed_over_its_meta_part_alone(keys, run, size):
    async def scenario():
        async with meeting(keys) as (platform, client):
            stored = b'{"image_url":"https://wxpaylogo.qpic.cn/wxpaylogo/a/0"}'
            platform.reply = lambda wire, _: wire.transport.write(platform.signed(stored))
            picture = bytes(range(256)) * (size // 256) or b"x"
            answer = await client.upload("奶茶.png", picture)
            [arrived] = platform.requests
            assert arrived.head.startswith(f"POST {PARTNER.upload_target} HTTP/1.1\r\n".encode())
            boundary = arrived.headers["Content-Type"].removeprefix("multipart/form-data; boundary=").encode()
            _, meta, file, _ = arrived.body.split(b"--" + boundary)
            assert signed_by_us(keys, arrived, meta.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
            assert file.partition(b"\r\n\r\n")[2] == picture + b"\r\n"
            assert "Transfer-Encoding" not in arrived.headers
            assert answer.content == json.loads(stored)

    run(scenario())


def test_the_environment_s_proxy_is_not_used(keys, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async def scenario():
        async with meeting(keys) as (_, client):
            assert judge(await submit(client)) == Accepted()

    asyncio.run(scenario())


def test_cookies_are_not_kept(keys):
    async def scenario():
        async with meeting(keys, tls=False) as (platform, _):
            # Cookies are never kept for a bare address, so the platform needs a name here.
            client = client_of(keys, platform.url.replace("127.0.0.1", "localhost"))
            platform.reply = lambda wire, _: wire.transport.write(platform.signed(Set_Cookie="a=b; Path=/"))
            for _ in range(2):
                assert judge(await submit(client)) == Accepted()
            assert len(platform.requests) == 2
            assert all("Cookie" not in request.headers for request in platform.requests)
            await client.aclose()

    asyncio.run(scenario())


# --- the gate --------------------------------------------------------------------------------------------------------


@LOOPS
@BOTH
def test_the_gate_holds_the_bytes_back_with_a_connection_in_hand(keys, run, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):
            reached, released = asyncio.Event(), asyncio.Event()

            async def gate():
                reached.set()
                await released.wait()

            held = asyncio.create_task(submit(client, gate))
            await reached.wait()
            await until(lambda: len(platform.wires) == 1)
            # Another request makes its whole way in the meantime, so anything that were to arrive would be here.
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 2
            assert platform.wires[0].received == b""
            assert len(platform.requests) == 1
            released.set()
            assert judge(await held) == Accepted()
            assert len(platform.wires) == 2

    run(scenario())


@LOOPS
@BOTH
def test_nothing_comes_between_the_gate_and_the_bytes(keys, run, tls):
    """Whatever else is ready in the event loop runs after the bytes are written, head and body in one piece."""

    async def scenario():
        async with meeting(keys, tls=tls) as (_, client):
            assert judge(await submit(client)) == Accepted()
            order = []

            async def gate():
                [connection] = connections_in_hand(client)
                connection._transport = Spy(connection._transport, order)
                asyncio.get_running_loop().call_soon(order.append, "the next turn")

            assert judge(await submit(client, gate)) == Accepted()
            assert [what for what in order if what == "the next turn"] == order[1:]
            assert order[0].startswith(b"POST ")
            assert order[0].endswith(SUBMITTED)

    run(scenario())


class Spy:
    """A transport that notes what is written."""

    def __init__(self, transport, order):
        self.transport = transport
        self.order = order

    def write(self, data):
        self.order.append(bytes(data))
        self.transport.write(data)

    def __getattr__(self, name):
        return getattr(self.transport, name)


@LOOPS
@BOTH
def test_a_slot_that_passed_gives_the_connection_back(keys, run, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):

            async def too_late():
                raise NotSent("late")

            for _ in range(3):
                with pytest.raises(NotSent):
                    await submit(client, too_late)
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 1
            assert len(platform.requests) == 1

    run(scenario())


def test_a_submit_that_is_cancelled_at_the_gate_gives_the_connection_back(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            reached = asyncio.Event()

            async def gate():
                reached.set()
                await asyncio.Event().wait()

            held = asyncio.create_task(submit(client, gate))
            await reached.wait()
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 1
            assert len(platform.requests) == 1

    asyncio.run(scenario())


def test_a_connection_that_only_missed_slots_is_not_young_again(keys):
    """The platform closes a connection 8 s after the last request, however often it was taken and given back since."""

    async def scenario():
        async with meeting(keys, keep_alive_seconds=0.3) as (platform, client):

            async def too_late():
                raise NotSent("late")

            assert judge(await submit(client)) == Accepted()
            for _ in range(4):
                await asyncio.sleep(0.1)  # the very thing: time goes by, and each time the pool sees a young one
                with pytest.raises(NotSent):
                    await submit(client, too_late)
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) >= 2  # more where the machine stood still meanwhile

    asyncio.run(scenario())


@BOTH
def test_a_connection_that_is_closed_at_the_gate_was_not_used(keys, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):

            async def gate():
                await until(lambda: platform.wires)
                platform.wires[0].transport.close()
                await until(lambda: not any(one.usable for one in connections_in_hand(client)))

            answer = await submit(client, gate)
            assert answer == NoAnswer("not_sent", "the far end closed the connection while it waited for its slot")
            assert platform.requests == []
            assert judge(await submit(client)) == Accepted()

    asyncio.run(scenario())


def test_the_time_at_the_gate_is_not_the_platform_s(keys):
    async def scenario():
        async with meeting(keys, answer_seconds=0.2) as (_, client):

            async def gate():
                await asyncio.sleep(0.3)  # the very thing: longer than an answer may take

            assert judge(await submit(client, gate)) == Accepted()

    asyncio.run(scenario())


# --- no answer -------------------------------------------------------------------------------------------------------


def silent(wire, request):
    pass


def resetting(wire, request):
    wire.transport.abort()


def closing(wire, request):
    wire.transport.close()


def stopping_halfway(wire, request):
    wire.transport.write(wire.platform.signed()[:-5])
    wire.transport.close()


def talking_nonsense(wire, request):
    wire.transport.write(b"220 mail.example ESMTP\r\n\r\n")


@LOOPS
@BOTH
@pytest.mark.parametrize("reply", [resetting, closing, stopping_halfway, talking_nonsense])
def test_what_breaks_after_the_bytes_left_is_open_and_never_repeated(keys, run, tls, reply):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):
            # A connection that was used before is one on which libraries like to repeat.
            await submit(client)
            platform.reply = reply
            for answer in (await submit(client), await client.query("cp_000001", "120344", "CUT_OUT")):
                assert isinstance(answer, NoAnswer)
                assert answer.kind == "open"
                assert answer.what
                assert judge(answer) == Retry("NO_ANSWER", answer.what)
            assert [request.head[:4] for request in platform.requests] == [b"POST", b"POST", b"GET "]

    run(scenario())


def test_a_query_on_a_kept_connection_is_not_repeated_by_the_library(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            await submit(client)
            platform.reply = closing
            answer = await client.query("cp_000001", "120344", "CUT_OUT")
            assert answer == NoAnswer("open", "the connection broke before an answer came")
            assert len(platform.requests) == 2
            assert len(platform.wires) == 1

    asyncio.run(scenario())


def test_a_reset_before_the_request_was_read_is_open_for_the_bytes_had_left(keys):
    async def scenario():
        async with meeting(keys, tls=False) as (platform, client):
            reset = []
            platform.greet = lambda wire: (reset.append(wire), wire.transport.abort())
            answer = await submit(client)
            assert isinstance(answer, NoAnswer)
            assert reset
            assert platform.requests == []

    asyncio.run(scenario())


def stopping_in_the_body(wire, request):
    wire.transport.write(wire.platform.signed()[:-5])


@BOTH
@pytest.mark.parametrize("reply", [silent, stopping_in_the_body])
def test_silence_is_open_after_the_time_for_an_answer(keys, tls, reply):
    async def scenario():
        async with meeting(keys, tls=tls, answer_seconds=0.15) as (platform, client):
            platform.reply = reply
            started = time.monotonic()
            assert await submit(client) == NoAnswer("open", "no whole answer within 0.15 s")
            assert time.monotonic() - started >= 0.15
            assert len(platform.requests) == 1
            assert connections_in_hand(client) == idle_connections(client) == []
            platform.reply = Platform.reply.__get__(platform)
            client._answer_seconds = 10
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 2

    asyncio.run(scenario())


def test_drips_do_not_stretch_the_time_for_an_answer(keys):
    async def scenario():
        async with meeting(keys, answer_seconds=0.15) as (platform, client):

            def drip(wire, rest):
                if rest and not wire.lost:
                    wire.transport.write(rest[:1])
                    asyncio.get_running_loop().call_later(0.01, drip, wire, rest[1:])

            platform.reply = lambda wire, _: drip(wire, platform.signed())
            assert await submit(client) == NoAnswer("open", "no whole answer within 0.15 s")

    asyncio.run(scenario())


def stuck_upload(client):
    """An upload of which the system takes a little only, so that the rest waits in the client."""

    async def gate():
        [connection] = connections_in_hand(client)
        connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    return client.upload("a.png", bytes(512 * 1024), gate)


@LOOPS
def test_an_upload_that_nobody_reads_ends(keys, run, caplog):
    async def scenario():
        async with meeting(keys, tls=False, upload_seconds=0.15) as (platform, client):
            platform.deaf = True
            assert await stuck_upload(client) == NoAnswer("open", "no whole answer within 0.15 s")

    run(scenario())
    assert caplog.messages == []


@LOOPS
def test_an_upload_that_is_reset_halfway_is_open(keys, run, caplog):
    async def scenario():
        async with meeting(keys, tls=False) as (platform, client):
            platform.deaf = True
            uploading = asyncio.create_task(stuck_upload(client))
            await until(lambda: any(one._transport.get_write_buffer_size() for one in connections_in_hand(client)))
            platform.wires[0].transport.abort()
            answer = await uploading
            assert isinstance(answer, NoAnswer)
            assert answer.kind == "open"

    run(scenario())
    assert caplog.messages == []


@LOOPS
def test_an_upload_that_is_read_late_arrives_whole(keys, run):
    async def scenario():
        async with meeting(keys, tls=False) as (platform, client):
            platform.deaf = True
            uploading = asyncio.create_task(stuck_upload(client))
            await until(lambda: any(one._transport.get_write_buffer_size() for one in connections_in_hand(client)))
            platform.deaf = False
            platform.wires[0].transport.resume_reading()
            assert judge(await uploading) == Accepted()
            [arrived] = platform.requests
            assert len(arrived.body) == int(arrived.headers["Content-Length"]) > 512 * 1024

    run(scenario())


def test_a_refused_connection_was_not_sent(keys):
    async def scenario():
        client = client_of(keys, f"http://127.0.0.1:{free_port()}")
        reached = []

        async def gate():
            reached.append(True)

        for answer in (await submit(client, gate), await client.query("cp_1", "1", "CUT_OUT", gate)):
            assert isinstance(answer, NoAnswer)
            assert answer.kind == "not_sent"
            assert "Cannot connect" in answer.what
            assert judge(answer) == Retry("NOT_SENT", answer.what)
        assert reached == []
        await client.aclose()

    asyncio.run(scenario())


def test_a_certificate_that_is_not_trusted_was_not_sent(keys):
    async def scenario():
        async with meeting(keys, trusted=False) as (platform, client):
            answer = await submit(client)
            assert isinstance(answer, NoAnswer)
            assert answer.kind == "not_sent"
            assert "certificate" in answer.what
            assert platform.requests == []

    asyncio.run(scenario())


def test_a_handshake_that_never_ends_was_not_sent(keys):
    async def scenario():
        async with meeting(keys, tls=False) as (platform, _):
            platform.deaf = True
            client = client_of(keys, platform.url.replace("http", "https"), connect_seconds=0.15)
            answer = await submit(client)
            assert isinstance(answer, NoAnswer)
            assert answer.kind == "not_sent"
            assert "timeout" in answer.what
            await client.aclose()

    asyncio.run(scenario())


def test_no_free_connection_was_not_sent(keys):
    async def scenario():
        async with meeting(keys, tls=False, connections=1, connect_seconds=0.5) as (platform, client):
            reached, released = asyncio.Event(), asyncio.Event()

            async def gate():
                reached.set()
                await released.wait()

            held = asyncio.create_task(submit(client, gate))
            await reached.wait()
            answer = await submit(client)
            assert (answer.kind, len(platform.wires)) == ("not_sent", 1)
            released.set()
            assert judge(await held) == Accepted()

    asyncio.run(scenario())


# --- answers of every kind -------------------------------------------------------------------------------------------


def one_answer(keys, reply, **options):
    async def scenario():
        async with meeting(keys, **options) as (platform, client):
            platform.reply = lambda wire, request: wire.transport.write(reply(platform))
            answer = await submit(client)
            # Whatever it was, it left the connection in order.
            assert len(idle_connections(client)) == 1
            assert client.skew_seconds == answer.skew_seconds
            return answer

    return asyncio.run(scenario())


def test_a_204_is_signed_over_an_empty_body(keys):
    answer = one_answer(keys, lambda platform: platform.signed(b"", "204 No Content"))
    assert (answer.status, answer.objection) == (204, None)


def test_a_compressed_answer_is_checked_as_it_was_signed(keys):
    answer = one_answer(
        keys, lambda platform: platform.signed(sent=gzip.compress(ACCEPTED), **{"Content-Encoding": "gzip"})
    )
    assert judge(answer) == Accepted()


def test_a_chunked_answer_is_checked_as_it_was_signed(keys):
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (ACCEPTED[:7], ACCEPTED[7:])) + b"0\r\n\r\n"
    answer = one_answer(keys, lambda platform: platform.signed(sent=pieces, **{"Transfer-Encoding": "chunked"}))
    assert judge(answer) == Accepted()


def test_interim_answers_are_passed_over(keys):
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    answer = one_answer(keys, lambda platform: hints + platform.signed())
    assert judge(answer) == Accepted()
    assert answer.request_id == "08F7-0"


def test_headers_are_those_of_the_last_answer(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            await submit(client)
            platform.reply = lambda wire, _: wire.transport.write(plain("200 OK", ACCEPTED))
            assert judge(await submit(client)) == Retry("UNTRUSTED_ANSWER", "signature headers are missing")
            assert len(platform.wires) == 1

    asyncio.run(scenario())


def test_a_probe_proves_nothing(keys):
    answer = one_answer(keys, lambda platform: platform.signed(Wechatpay_Signature=PROBE))
    assert answer.objection == "the signature does not hold"
    assert judge(answer) == Retry("UNTRUSTED_ANSWER", "the signature does not hold")


def test_an_answer_without_a_signature_proves_nothing(keys):
    answer = one_answer(keys, lambda _: plain("200 OK", ACCEPTED))
    assert judge(answer) == Retry("UNTRUSTED_ANSWER", "signature headers are missing")


def test_header_bytes_that_are_no_text_prove_nothing(keys):
    answer = one_answer(keys, lambda platform: platform.signed().replace(b"n0nce", b"\xff\xfe"))
    assert judge(answer) == Retry("UNTRUSTED_ANSWER", "the signature does not hold")


def test_an_error_is_read(keys):
    body = json.dumps({"code": "PARAM_ERROR", "message": "参数错误", "detail": {"field": "/brand_id"}}).encode()
    headers = {"Request-ID": "08F7-268435461", "Date": formatdate(usegmt=True)}
    answer = one_answer(keys, lambda _: plain("400 Bad Request", body, **headers))
    assert (answer.code, answer.message, answer.field) == ("PARAM_ERROR", "参数错误", "/brand_id")
    assert answer.number == 268435461
    assert abs(answer.skew_seconds) < 5


def test_a_proxy_s_page_is_survived(keys):
    answer = one_answer(keys, lambda _: plain("502 Bad Gateway", b"<html>502</html>", **{"Content-Type": "text/html"}))
    assert judge(answer) == Retry("HTTP_502", "status 502 without a reason")


def test_an_empty_body_is_survived(keys):
    assert judge(one_answer(keys, lambda _: plain("503 Service Unavailable"))).code == "HTTP_503"


def test_a_redirect_is_not_followed(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            platform.reply = lambda wire, _: wire.transport.write(plain("302 Found", Location=platform.url + "/login"))
            for answer in (await submit(client), await client.query("cp_1", "1", "CUT_OUT")):
                assert judge(answer).code == "HTTP_302"
            assert len(platform.requests) == 2

    asyncio.run(scenario())


def test_the_platform_s_clock_is_compared_with_ours(keys):
    answer = one_answer(
        keys,
        lambda _: plain("401 Unauthorized", b'{"code":"SIGN_ERROR"}', Date=formatdate(time.time() + 400, usegmt=True)),
    )
    assert 390 < answer.skew_seconds < 401
    verdict = judge(answer)
    assert isinstance(verdict, Hold)
    assert verdict.code == "CLOCK_SKEW"


# --- answers that end the connection ---------------------------------------------------------------------------------


def last_answer(keys, reply, *, close=False, **options):
    """What becomes of an answer after which the connection is not used again."""

    async def scenario():
        async with meeting(keys, **options) as (platform, client):

            def replied(wire, _):
                wire.transport.write(reply(platform))
                if close:
                    wire.transport.close()

            platform.reply = replied
            answer = await submit(client)
            await until(lambda: not any(one.usable for one in idle_connections(client)))
            platform.reply = Platform.reply.__get__(platform)
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == len(platform.requests) == 2
            return answer

    return asyncio.run(scenario())


@BOTH
def test_an_answer_without_a_length_ends_with_its_connection(keys, tls):
    answer = last_answer(
        keys,
        lambda platform: platform.signed(Transfer_Encoding="identity").replace(b"Transfer-Encoding: identity\r\n", b""),
        close=True,
        tls=tls,
    )
    assert judge(answer) == Accepted()


def test_the_platform_may_close_after_an_answer(keys):
    assert judge(last_answer(keys, lambda platform: platform.signed(Connection="close"))) == Accepted()


def test_what_comes_after_an_answer_is_not_taken_for_the_next_one(keys):
    assert judge(last_answer(keys, lambda platform: platform.signed() + plain("200 OK", b"{}"))) == Accepted()


@pytest.mark.parametrize(
    ("reply", "why"),
    {
        "endless": (lambda _: plain("200 OK", bytes(1_100_000)), "an answer of more than 1000000 bytes"),
        "endless headers": (
            lambda _: b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1_100_000,
            "an answer of more than 1000000 bytes",
        ),
        "a bomb": (
            lambda platform: platform.signed(sent=gzip.compress(bytes(1_100_000)), Content_Encoding="gzip"),
            "an answer whose body cannot be decoded (it is cut, or too long)",
        ),
        "cut": (
            lambda platform: platform.signed(sent=gzip.compress(ACCEPTED)[:-9], Content_Encoding="gzip"),
            "an answer whose body cannot be decoded (it is cut, or too long)",
        ),
        "of no known coding": (
            lambda platform: platform.signed(Content_Encoding="br"),
            "an answer whose body cannot be decoded (its coding is 'br')",
        ),
        "another protocol": (
            lambda _: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            "what came back is no HTTP answer",
        ),
        "of two lengths": (
            lambda platform: platform.signed(Transfer_Encoding="chunked", Content_Length="3"),
            "what came back is no HTTP answer",
        ),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_cannot_be_read_is_open(keys, reply, why):
    async def scenario():
        async with meeting(keys) as (platform, client):
            platform.reply = lambda wire, _: wire.transport.write(reply(platform))
            answer = await submit(client)
            assert isinstance(answer, NoAnswer)
            assert answer.kind == "open"
            assert answer.what.startswith(why)
            assert len(platform.requests) == 1

    asyncio.run(scenario())


@LOOPS
def test_an_answer_before_the_whole_request_was_taken_ends_the_connection(keys, run):
    async def scenario():
        async with meeting(keys, tls=False) as (platform, client):
            platform.deaf = True
            uploading = asyncio.create_task(stuck_upload(client))
            await until(lambda: any(one._transport.get_write_buffer_size() for one in connections_in_hand(client)))
            platform.wires[0].transport.write(plain("413 Content Too Large"))
            assert (await uploading).status == 413
            assert idle_connections(client) == []

    run(scenario())


def test_a_submit_that_is_cancelled_while_it_waits_closes_its_connection(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            platform.reply = silent
            waiting = asyncio.create_task(submit(client))
            await until(lambda: platform.requests)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await until(lambda: platform.wires[0].lost)
            assert connections_in_hand(client) == idle_connections(client) == []

    asyncio.run(scenario())


# --- connections -----------------------------------------------------------------------------------------------------


@LOOPS
def test_a_connection_serves_one_request_after_the_other(keys, run):
    async def scenario():
        async with meeting(keys) as (platform, client):
            for _ in range(5):
                assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 1

    run(scenario())


def test_an_idle_connection_is_closed_by_us_before_the_platform_does(keys):
    async def scenario():
        async with meeting(keys, keep_alive_seconds=0.05) as (platform, client):
            await submit(client)
            await until(lambda: platform.wires[0].lost)
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 2

    asyncio.run(scenario())


def test_a_connection_that_is_closed_leaves_nothing_to_the_garbage_collector(keys):
    async def scenario():
        async with meeting(keys, keep_alive_seconds=0.05) as (platform, client):
            gc.collect()
            gc.disable()
            try:
                await submit(client)
                connection = weakref.ref(idle_connections(client)[0])
                await until(lambda: platform.wires[0].lost and connection() is None)
            finally:
                gc.enable()

    uvloop.run(scenario())  # asyncio's own TLS is a circle itself


@BOTH
def test_an_idle_connection_that_the_platform_closed_is_not_used_again(keys, tls):
    async def scenario():
        async with meeting(keys, tls=tls) as (platform, client):
            await submit(client)
            platform.wires[0].transport.close()
            await until(lambda: not any(one.usable for one in idle_connections(client)))
            assert judge(await submit(client)) == Accepted()
            assert len(platform.wires) == 2

    asyncio.run(scenario())


def test_what_is_under_way_when_the_client_closes_ends_without_an_answer(keys):
    async def scenario():
        async with meeting(keys) as (platform, client):
            platform.reply = silent
            under_way = asyncio.create_task(submit(client))
            await until(lambda: platform.requests)
            await client.aclose()
            answer = await under_way
            assert isinstance(answer, NoAnswer)
            assert answer.kind == "open"

    asyncio.run(scenario())


def test_a_client_that_was_never_used_closes(keys):
    asyncio.run(client_of(keys, "https://127.0.0.1").aclose())
