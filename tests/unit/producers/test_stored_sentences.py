"""Stored sentences in the reader's language: those that the fleet is known to store, and no others."""

import ast
import re
from pathlib import Path

import pytest

import couponpress
import couponpress_worker
from couponpress.language import speaking
from couponpress.stored_sentences import KNOWN, in_words
from tests.trees import nodes_of

SOURCES = [
    path
    for package in (couponpress, couponpress_worker)
    for path in Path(package.__file__).parent.rglob("*.py")
    if path.name != "stored_sentences.py"
]


def literals():
    """Every text of the code, with a mark for each value of an f-string."""
    for path in SOURCES:
        for node in nodes_of(path):
            if isinstance(node, ast.JoinedStr):
                yield "".join(one.value if isinstance(one, ast.Constant) else "\0" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_each_is_a_sentence_of_the_code():
    told = "\n".join(literals())
    for sentence in KNOWN:
        # Where a value stands, and where the code joins two texts, a sentence comes in parts.
        for part in re.split(r"%\(\w+\)s|, |(?<= s )(?:ahead of|behind)", sentence):
            assert part.strip(" .:`") in told, sentence


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("paused by hand", "手动暂停"),
        ("run may", "批次 may"),
        ("`couponpress resume may` lets it go on", "执行 `couponpress resume may` 可恢复"),
        ("rejected PARAM_ERROR", "被拒绝 PARAM_ERROR"),
        ("3 tries, the last one: a value is too long", "已尝试 3 次，最后一次：有一个值太长"),
        (
            "its chunk is a dead letter: its stored bytes cannot be unpacked (cut)",
            "所在分块成为死信：保存的内容无法解压（cut）",
        ),
        (
            "Cannot connect to a:443 ([SSL: VERIFY] certificate verify failed: certificate has expired (_ssl.c:6))",
            "无法连接 a:443（[SSL: VERIFY] 证书校验失败：证书已过期（_ssl.c:6））",
        ),
        (
            "Cannot connect to a:443 ([Errno 111] Connect call failed ('127.0.0.1', 443))",
            "无法连接 a:443（[Errno 111] 连接 ('127.0.0.1', 443) 失败）",
        ),
        ("商户号不存在", "商户号不存在"),
        ("a sentence of somebody else", "a sentence of somebody else"),
        ("", ""),
    ],
)
def test_a_known_sentence_is_translated_and_another_is_not(stored, told):
    with speaking("zh_CN"):
        assert in_words(stored) == told
    assert in_words(stored) == stored
