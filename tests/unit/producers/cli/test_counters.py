"""What turns while a command works, in letters that the terminal has."""

import io

import pytest
from rich.console import Console

from couponpress.cli.console import confirmed
from couponpress.cli.counters import spinner
from couponpress.language import speaking


@pytest.mark.parametrize(("encoding", "letters"), [("utf-8", "⠋"), ("gbk", "-"), ("ascii", "-")])
def test_a_spinner_has_letters_of_its_terminal(encoding, letters):
    terminal = Console(file=io.TextIOWrapper(io.BytesIO(), encoding))
    assert spinner(terminal).spinner.frames[0] == letters


@pytest.mark.parametrize(
    ("typed", "expected"), [("y\n", True), ("是\n", True), ("\n", False), ("否\n", False), ("ja\nY\n", True)]
)
def test_a_question_is_asked_until_it_is_answered(typed, expected, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with speaking("zh_CN"):
        assert confirmed("确定更改？") is expected
    told = capsys.readouterr()
    assert told.err.count("确定更改？ [y/N]") == typed.count("\n")
    assert ("请回答 y 或 n" in told.err) == (typed.count("\n") > 1)
    assert not told.out.strip()
