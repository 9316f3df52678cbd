"""Messages fit what a robot takes, whatever is in them, and nothing in them is markup or a mention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.notify.message import Message, Paragraph, fitted, harmless

MENTIONS = ["<@all>", "<@userid>", "<at id=all></at>", "@all", "@13800000000", "[click](https://evil.example)", "**b**"]


@pytest.mark.parametrize("text", MENTIONS)
def test_what_others_wrote_is_no_markup(text):
    assert not set(harmless(text)) & set("<>[]*#@|~\\!")


@given(st.text(max_size=2000))
def test_a_value_is_one_short_line(text):
    told = harmless(text)
    assert len(told) <= 240
    assert "\n" not in told
    assert told.isprintable()


@given(st.integers(1, 40), st.integers(0, 8), st.integers(1, 240), st.sampled_from([400, 4096, 20_000]))
def test_a_message_fits_and_counts_what_it_leaves_out(count, lines, length, limit):
    paragraphs = tuple(
        Paragraph("事" * length, ("因" * length,) * lines, link="https://x.example") for _ in range(count)
    )

    def rendered(message):
        told = [message.title, *(line for one in message.paragraphs for line in (one.heading, *one.lines, one.link))]
        return "\n".join(told), len(message.paragraphs), message.more

    text, kept, more = fitted(Message("t", "it", paragraphs), rendered, lambda made: len(made[0].encode()), limit)
    assert len(text.encode()) <= limit
    assert kept + more == count


def test_the_level_of_a_message_is_its_worst():
    good, bad, plain = (Paragraph("h", level=level) for level in ("good", "bad", "plain"))
    assert [Message("t", "it", one).level for one in ((good,), (good, bad), (good, plain), ())] == [
        "good",
        "bad",
        "plain",
        "plain",
    ]
