"""What libraries say, in the reader's language: messages as the libraries themselves word them."""

import importlib
import io
import json
import socket
import tomllib
import zipfile

import pytest
import redis

from couponpress.language import speaking
from couponpress.library_sentences import in_words
from couponpress.stored_sentences import in_words as stored_in_words
from tests.english import english_words


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def of_redis():
    redis.Redis("127.0.0.1", free_port(), retry=None).ping()


def of_the_system():
    socket.create_connection(("127.0.0.1", free_port()))


@pytest.mark.parametrize(
    "act",
    [
        of_redis,
        of_the_system,
        lambda: tomllib.loads("cron = "),
        lambda: tomllib.loads("a = 1\na = 2\n"),
        lambda: tomllib.loads("cron"),
        lambda: zipfile.ZipFile(io.BytesIO(b"PK")),
        lambda: importlib.import_module("prices_of_nobody"),
        b"\x80".decode,
    ],
    ids=["redis", "system", "no value", "a key twice", "no equals sign", "no zip", "no module", "no UTF-8"],
)
def test_what_a_library_raises_is_told_in_chinese(act):
    with pytest.raises(Exception, match=r"[A-Za-z]") as raised:
        act()
    assert in_words(raised.value) == f"{raised.value}"
    with speaking("zh_CN"):
        told = in_words(raised.value)
        assert not english_words(told), told


@pytest.mark.parametrize("text", ['{"a":', "{a: 1}", '{"a" 1}', '{"a": "b', '{"a": "\\q"}', '{"a": 1} 2'])
def test_what_is_wrong_with_json_is_told_in_chinese(text):
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads(text)
    with speaking("zh_CN"):
        told = in_words(raised.value.msg)
        assert not english_words(told), told


def test_a_stored_sentence_may_hold_what_a_library_said():
    with speaking("zh_CN"):
        told = stored_in_words("not called: shop.example leads to 10.0.0.1, which is no public address")
    assert told == "没有调用：shop.example 指向 10.0.0.1，这是非公网地址"


def test_what_is_not_known_stays():
    with speaking("zh_CN"):
        assert in_words("a sentence of somebody else") == "a sentence of somebody else"
