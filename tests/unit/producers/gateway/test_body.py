"""The bytes of a request: the same lines however they are cut into pieces, and bounds that hold."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.gateway import body as body_module
from couponpress.gateway.body import Body, lines_of
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


def test_a_silent_caller_is_given_up():
    async def silent():
        await asyncio.sleep(body_module.SILENCE_SECONDS * 2)

    async def read():
        with pytest.raises(Refusal, match="nothing came") as caught:
            await Body(silent, 100).whole()
        return caught.value.kind

    assert run_fast(read()) == "too-slow"
