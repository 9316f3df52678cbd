"""Terminals that lack letters: English in place of Chinese, and a question mark for a letter of a name."""

import io
import sys

import pytest
from babel.messages.pofile import read_po

from couponpress.cli import main
from couponpress.cli.output import shows_chinese, written_output
from couponpress.language import LOCALE


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


def of(encoding, kind=Terminal):
    return kind(io.BytesIO(), encoding)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "zh_CN"), ("gbk", "zh_CN"), ("gb18030", "zh_CN"), ("ascii", "en"), ("latin-1", "en")],
)
def test_a_terminal_gets_a_language_that_it_has_letters_for(encoding, expected, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_LANG", "zh_CN")
    monkeypatch.setattr(sys, "stdout", of(encoding))
    monkeypatch.setattr(sys, "stderr", of(encoding))
    assert shows_chinese() == (expected == "zh_CN")
    assert main._configured_language() == expected


@pytest.mark.parametrize(("kind", "shown"), [(Terminal, b"?"), (io.TextIOWrapper, b"\\U0001f9cb")])
def test_a_letter_that_is_lacking_is_no_error(kind, shown, monkeypatch):
    output = of("gbk", kind)
    monkeypatch.setattr(sys, "stdout", output)
    with written_output():
        sys.stdout.write("批次 \U0001f9cb\n")
    assert output.buffer.getvalue() == "批次 ".encode("gbk") + shown + b"\n"


def test_messages_show_a_question_mark(monkeypatch):
    monkeypatch.setattr(sys, "stderr", of("gbk", io.TextIOWrapper))
    with written_output():
        sys.stderr.write("批次 \U0001f9cb\n")
        sys.stderr.flush()
    assert sys.stderr.buffer.getvalue() == "批次 ?\n".encode("gbk")


def test_every_chinese_sentence_can_be_shown_by_a_gbk_terminal():
    with (LOCALE / "zh_CN" / "LC_MESSAGES" / "couponpress.po").open("rb") as stream:
        for message in read_po(stream):
            for text in [message.string] if isinstance(message.string, str) else message.string:
                text.encode("gbk")
