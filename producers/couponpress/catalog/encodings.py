"""The encoding of a catalog's bytes is told by the bytes themselves: UTF-8, GB18030, Big5 or UTF-16.

Pure. A byte-order mark settles it; without one, what decodes and looks like Chinese text does. There may be no proof:
then the answer is None, and a person has to say it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from typing import Final

#: What people call an encoding -> what it is. GB18030 holds every letter of GBK and GB2312, as the same bytes.
_CALLED: Final[Mapping[str, str]] = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-8-sig": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "cp936": "gb18030",
    "big5": "cp950",
    "cp950": "cp950",
    "utf-16": "utf-16-le",
    "utf16": "utf-16-le",
    "utf-16le": "utf-16-le",
    "utf-16-le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-16-be": "utf-16-be",
}
#: Encoding -> what to call it in a sentence.
SHOWN: Final[Mapping[str, str]] = {
    "utf-8": "UTF-8",
    "gb18030": "GBK (GB18030)",
    "cp950": "Big5",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
}
#: Byte-order marks, as Excel and others write them.
MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    b"\x84\x31\x95\x33": "gb18030",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

#: What UTF-8 makes of most Chinese letters. In GB18030 three such bytes in a row are rare.
_THREE_BYTES: Final = re.compile(rb"[\xe3-\xe9][\x80-\xbf]{2}")
_BEYOND_TWO_BYTES: Final = re.compile(rb"[\xe0-\xff]")
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_YUAN_SIGN: Final = "¥".encode()
_PAIR: Final = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
#: How many letters it takes to tell Big5 from GBK, in which the same bytes are rare letters.
_BIG5_LETTERS: Final = 6

#: Windows' GBK has the euro sign as this byte, which GB18030 does not have.
_EURO_BYTE: Final = 0x80
_WITH_EURO: Final = "couponpress-cp936"


def _euro(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError) and error.object[error.start] == _EURO_BYTE:
        return "€", error.start + 1
    raise error


codecs.register_error(_WITH_EURO, _euro)


def decoder_of(encoding: str) -> Callable[[bytes, bool], str]:
    """Return what decodes a text piece by piece; the second argument says whether the piece is the last one."""
    return codecs.getincrementaldecoder(encoding)(_errors_of(encoding)).decode


def decoded(content: bytes, encoding: str) -> str:
    """Decode bytes that are known to be of the encoding."""
    return content.decode(encoding, _errors_of(encoding))


def _errors_of(encoding: str) -> str:
    return _WITH_EURO if encoding == "gb18030" else "strict"


def encoding_called(name: str) -> str | None:
    """Return the encoding that people call by that name; None when catalogs come in no such one.

    >>> encoding_called("UTF8"), encoding_called("GBK"), encoding_called("latin-1")
    ('utf-8', 'gb18030', None)
    """
    return _CALLED.get(name.lower().replace("_", "-"))


def marked_encoding(sample: bytes) -> str | None:
    """Return the encoding that the text's byte-order mark names; None without one.

    >>> marked_encoding(codecs.BOM_UTF8), marked_encoding(b"row_id")
    ('utf-8', None)
    """
    return next((encoding for mark, encoding in MARKS.items() if sample.startswith(mark)), None)


def told_encoding(sample: bytes, *, ended: bool) -> str | None:
    """Return the encoding of text that is not plain ASCII, or None if it reads well either way.

    Args:
        sample: the text from a letter's first byte on.
        ended: whether the text ends with the sample, which may otherwise end within a letter.

    UTF-8 that is damaged in places is UTF-8; reading it on tells where.

    >>> told_encoding("品牌".encode(), ended=True), told_encoding("品牌".encode("gb18030"), ended=True)
    ('utf-8', 'gb18030')
    """
    if marked := marked_encoding(sample):
        return marked
    if _is_big5(sample, ended=ended):
        return "cp950"
    if not _reads(sample, "gb18030", ended=ended):
        return _less_damaged(sample) if not _reads(sample, "utf-8", ended=ended) else "utf-8"
    if not _reads(sample, "utf-8", ended=ended):
        in_threes = 3 * len(_THREE_BYTES.findall(sample))
        return "utf-8" if in_threes > 0.9 * len(_NOT_ASCII.findall(sample)) else "gb18030"
    # Letters of two bytes in UTF-8 (é, Greek, Cyrillic) are a Chinese letter each in GB18030.
    if _BEYOND_TWO_BYTES.search(sample) or not _NOT_ASCII.search(sample.replace(_YUAN_SIGN, b"")):
        return "utf-8"
    return None


def _less_damaged(sample: bytes) -> str:
    """Return in which encoding fewer bytes are no letters."""
    damage = {encoding: sample.decode(encoding, "replace").count("\ufffd") for encoding in ("utf-8", "gb18030")}
    return min(damage, key=damage.__getitem__)


def _is_big5(sample: bytes, *, ended: bool) -> bool:
    """Whether nearly all letters are common ones of Big5, some of which no common letter of GBK can be."""
    pairs = _PAIR.findall(sample)
    if len(pairs) < _BIG5_LETTERS or not _reads(sample, "cp950", ended=ended):
        return False
    common = sum(0xA4 <= lead <= 0xC6 for lead, _ in pairs)
    low = sum(trail < 0x7F for _, trail in pairs)
    return bool(common >= 0.9 * len(pairs) and low >= 0.2 * len(pairs))


def _reads(sample: bytes, encoding: str, *, ended: bool) -> bool:
    try:
        decoder_of(encoding)(sample, ended)
    except UnicodeDecodeError:
        return False
    return True
