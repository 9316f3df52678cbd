"""What a client may cost a service: size and time of heads, connections, bodies and answers that nobody reads."""

import asyncio
import time

import pytest

from couponpress.transport.bounded_http import PIPELINED_REQUESTS, most_connections
from tests.serving import connected, read_all, served

REQUEST = b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: shop\r\ncontent-length: 1000000\r\n\r\n"


async def app(scope, receive, send):
    """Answers at once, whatever is still to come of the body; at /large with 32 MB."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    body = b"x" * (32 << 20 if scope["path"] == "/large" else 2)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def status(answer):
    return answer.split(b" ", 2)[1] if answer else b""


def sent_until_closed(client, piece, *, pause_seconds=0.0):
    """Send the same again and again until the server ends the connection; returns how many bytes that were."""
    sent, deadline = 0, time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            sent += client.send(piece)
            time.sleep(pause_seconds)
    except OSError:  # a reset, or a broken pipe
        return sent
    raise AssertionError(f"after {sent} bytes the connection is still open")


def answered(port, *pieces):
    with connected(port, *pieces) as client:
        return status(client.recv(65536))


@pytest.mark.parametrize("piece", [b"x: " + b"x" * 1000, b"x: y\r\n" * 200], ids=["one header", "many headers"])
def test_a_head_that_never_ends_is_refused_when_it_is_too_large(piece):
    with served(app, head_bytes=8192) as port, connected(port, REQUEST[:-2]) as client:
        assert sent_until_closed(client, piece) < 8 << 20  # what the two sockets hold
        assert answered(port, REQUEST) == b"200"


def test_a_head_is_bounded_whether_it_comes_at_once_or_in_pieces():
    head = REQUEST[:-2] + b"x: " + b"x" * 9000 + b"\r\n\r\n"
    with served(app, head_bytes=8192) as port:
        assert answered(port, head) == b"431"
        assert answered(port, head[:4000], head[4000:]) in {b"431", b""}


def test_trailers_are_bounded_as_heads_are():
    chunked = b"POST /body HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
    with served(app, head_bytes=8192) as port, connected(port, chunked) as client:
        assert sent_until_closed(client, b"x: " + b"x" * 1000) < 8 << 20


@pytest.mark.parametrize("begun", [b"", b"GET / HT", REQUEST[:-2]], ids=["nothing", "a line", "headers"])
def test_a_head_that_comes_too_slowly_is_given_up(begun):
    with served(app, head_seconds=0.3) as port, connected(port, begun) as client:
        assert status(read_all(client)) == b"408"


@pytest.mark.parametrize("drop", [b"x", b"\r\n"])
def test_a_drop_now_and_then_does_not_help(drop):
    with served(app, head_seconds=0.5) as port, connected(port, REQUEST) as client:
        assert status(client.recv(65536)) == b"200"
        sent_until_closed(client, drop, pause_seconds=0.02)


def test_the_rest_of_an_unwanted_body_is_read_for_a_while():
    with served(app, unwanted_body_seconds=0.5) as port, connected(port, POST) as client:
        assert status(client.recv(65536)) == b"200"
        sent_until_closed(client, b"x", pause_seconds=0.02)


def test_a_connection_goes_on_after_an_unwanted_body():
    with served(app) as port, connected(port, POST) as client:
        assert status(client.recv(65536)) == b"200"
        client.sendall(b"x" * 1_000_000 + REQUEST)
        assert status(client.recv(65536)) == b"200"


def test_an_answer_that_nobody_reads_is_given_up():
    large = REQUEST.replace(b"/", b"/large", 1)
    with served(app, unread_seconds=0.3, connections=1) as port, connected(port, large):
        deadline = time.monotonic() + 10
        while (seen := answered(port, REQUEST)) == b"503":
            assert time.monotonic() < deadline
        assert seen == b"200"


def test_requests_that_do_not_wait_for_answers_are_bounded():
    with served(app) as port:
        with connected(port, REQUEST * PIPELINED_REQUESTS) as client:
            answers = b""
            while answers.count(b"HTTP/1.1 200") < PIPELINED_REQUESTS:
                answers += client.recv(65536)
        with connected(port, REQUEST * 1000) as client:
            assert b"HTTP/1.1 400" in read_all(client)


def test_slow_clients_make_room_for_others():
    slow = [
        b"",
        b"GET / HT",
        REQUEST[:-2],
        REQUEST.replace(b"GET /", b"POST /body")[:-2] + b"content-length: 9\r\n\r\n",
    ]
    with served(app, connections=20) as port:
        opened = [connected(port, slow[number % 4]) for number in range(100)]
        for one in opened:
            one.__enter__()
        assert [answered(port, REQUEST) for _ in range(50)] == [b"200"] * 50
        for one in opened:
            one.__exit__(None, None, None)


def test_a_body_that_goes_on_is_not_the_one_that_makes_room():
    begun = REQUEST.replace(b"GET /", b"POST /body")[:-2] + b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    with served(app, connections=3) as port, connected(port, begun) as live:
        assert status(live.recv(100)) == b"100"  # the server waits for its body
        with connected(port, begun) as silent:
            assert status(silent.recv(100)) == b"100"
            live.sendall(b"live")
            assert answered(port, REQUEST) == b"200"  # what came before was read
            with connected(port, begun) as other:
                assert status(other.recv(100)) == b"100"
                assert answered(port, REQUEST) == b"200"
                live.sendall(b" body")
                assert status(live.recv(100)) == b"200"
                assert silent.recv(100) == b""


def test_the_number_of_connections_fits_the_files_that_may_be_open():
    assert 16 <= most_connections() <= 1000


@pytest.mark.parametrize("pieces", [[REQUEST], [REQUEST[:20], REQUEST[20:]]], ids=["at once", "in pieces"])
def test_an_answer_that_takes_longer_than_a_head_may_is_not_cut(pieces):
    async def slow(scope, receive, send):
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        for _ in range(5):
            await asyncio.sleep(0.2)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with served(slow, head_seconds=0.3) as port, connected(port, *pieces) as client:
        read = b""
        while not read.endswith(b"xxxxx"):
            piece = client.recv(65536)
            assert piece, f"cut after {read!r}"
            read += piece
