"""The bytes of a request: the same lines however they are cut into pieces, and bounds that hold."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.gateway.body import BODY_SECONDS, BYTES_PER_SECOND, SILENCE_SECONDS, Body, TimedReceive, lines_of
from couponpress.gateway.problems import Refusal
from tests.builders import run_fast


def lines(*pieces, limit=100):
    return list(lines_of(iter([*pieces, b""]).__next__, limit))


@given(st.lists(st.sampled_from([b"{}", b"a b", b"", b" ", b"\r", "é".encode()])), st.data())
def test_pieces_make_no_difference(texts, data):
    whole = b"\n".join(texts)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(whole) - 1, 1)), max_size=5)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    assert lines(*(piece for piece in pieces if piece)) == expected


def test_a_byte_order_mark_and_a_missing_last_line_end_are_taken():
    assert lines(b"\xef\xbb\xbf{}\n\n[]") == [(1, b"{}"), (3, b"[]")]


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6] * 3, [b"a\n" + b"x" * 11 + b"\n"]])
def test_a_line_has_its_bound(pieces):
    with pytest.raises(Refusal, match=r"line \d has more than 10 bytes"):
        lines(*pieces, limit=10)


def asgi(*messages):
    given = iter(messages)

    async def receive():
        return next(given)

    return receive


def request(*pieces):
    return [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]


def kind_of(receive, limit=100):
    with pytest.raises(Refusal) as caught:
        asyncio.run(Body(receive, limit).whole())
    return caught.value.kind


def test_a_body_is_read_to_its_end():
    last = {"type": "http.request", "body": b"c", "more_body": False}
    assert asyncio.run(Body(asgi(*request(b"a", b"", b"b"), last), 100).whole()) == b"abc"
    assert asyncio.run(Body(asgi({"type": "http.request"}), 100).whole()) == b""


def test_a_body_is_refused_when_it_is_cut_or_too_large():
    assert kind_of(asgi(*request(b"a"), {"type": "http.disconnect"})) == "cut-off"
    assert kind_of(asgi(*request(b"a" * 60, b"a" * 60))) == "too-large"


def slow(seconds, piece, *, times=10**9):
    """Send a piece again and again, so many seconds apart."""
    left = times

    async def receive():
        nonlocal left
        await asyncio.sleep(seconds)
        left -= 1
        return {"type": "http.request", "body": piece, "more_body": left > 0}

    return receive


async def told_to(receive, limit=100_000):
    """The refusal of a body, and how long it took on the loop's clock."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    with pytest.raises(Refusal) as caught:
        await Body(TimedReceive(receive), limit).whole()
    return caught.value.kind, caught.value.detail, loop.time() - since


def test_a_silent_caller_is_given_up():
    kind, detail, took = run_fast(told_to(slow(SILENCE_SECONDS * 2, b"x")))
    assert (kind, detail) == ("too-slow", "nothing came for 30 s")
    assert took == pytest.approx(SILENCE_SECONDS, abs=1)


def test_a_byte_a_second_is_too_slow():
    kind, detail, took = run_fast(told_to(slow(1, b"x")))
    assert kind == "too-slow"
    assert detail.endswith("bytes of it came in 30 s")
    assert took == pytest.approx(BODY_SECONDS, abs=1)


def test_a_long_body_has_time_by_what_came_of_it():
    line = b"x" * (2 * BYTES_PER_SECOND)
    body = run_fast(Body(TimedReceive(slow(1, line, times=200)), 10**6).whole())
    assert len(body) == 200 * len(line)
    kind, _, took = run_fast(told_to(slow(2, b"x" * BYTES_PER_SECOND), 10**6))
    assert kind == "too-slow"
    assert took == pytest.approx(2 * BODY_SECONDS, abs=3)


def test_a_stream_may_take_long_as_long_as_lines_come():
    """A producer that writes a line of 30 bytes every 20 s is no slow client."""

    async def read(piece, seconds, times):
        receive = TimedReceive(slow(seconds, piece, times=times), by_line=True)
        seen = b""
        while True:
            message = await receive()
            seen += message["body"]
            if not message["more_body"]:
                return seen

    line = b"x" * 29 + b"\n"
    assert run_fast(read(line, SILENCE_SECONDS - 10, 200)) == line * 200
    assert run_fast(read(b"\n", SILENCE_SECONDS - 1, 50)) == b"\n" * 50  # an empty line keeps a stream alive
    for piece, seconds, told in (
        (b"x", 1, "no line of it ended in 30 s"),
        (line, SILENCE_SECONDS + 5, "nothing came for 30 s"),
        (b"", SILENCE_SECONDS + 5, "nothing came for 30 s"),
    ):
        with pytest.raises(Refusal) as caught:
            run_fast(read(piece, seconds, 10**6))
        assert (caught.value.kind, caught.value.detail) == ("too-slow", told)


def test_the_time_of_storing_does_not_count():
    async def read():
        receive = TimedReceive(slow(1, b"x", times=20))
        pieces = 0
        while (await receive())["more_body"]:
            pieces += 1
            await asyncio.sleep(10)
        return pieces

    assert run_fast(read()) == 19


def test_after_the_body_the_end_of_the_connection_is_awaited_for_any_time():
    async def read():
        receive = TimedReceive(slow(0, b"x", times=1))
        await receive()
        receive._receive = slow(1000, b"")
        return await receive()

    assert run_fast(read())["body"] == b""


def test_a_body_may_have_a_limit_where_nobody_else_looks():
    async def read():
        receive = TimedReceive(slow(0, b"x" * 60), 100)
        await receive()
        await receive()

    with pytest.raises(Refusal, match="may have 100 bytes"):
        run_fast(read())
