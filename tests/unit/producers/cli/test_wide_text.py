"""Lines of a terminal with Chinese letters, which take two columns each."""

import pytest

from couponpress.cli.wide_text import columns, padded, wrapped


@pytest.mark.parametrize(("text", "expected"), [("run", 3), ("批次", 4), ("“a”", 3), ("，", 2), ("", 0), ("é", 1)])
def test_columns(text, expected):
    assert columns(text) == expected


def test_padding_counts_columns():
    assert padded("批次", 6) == "批次  "
    assert padded("too long", 3) == "too long"


def test_chinese_breaks_anywhere_but_before_a_closing_sign():
    assert wrapped("暂停发送批次、品牌或全部；", 12) == ["暂停发送批", "次、品牌或全", "部；"]


def test_words_and_commands_stay_whole():
    assert wrapped("加上 --until 或 --for 会恢复", 12) == ["加上 --until", "或 --for 会", "恢复"]
    assert wrapped("COUPONPRESS_REDIS_URL", 5) == ["COUPONPRESS_REDIS_URL"]


def test_every_line_fits():
    for width in range(4, 40):
        assert all(columns(line) <= width for line in wrapped("把表格作为一个批次提交。再次提交不会重复。", width))
