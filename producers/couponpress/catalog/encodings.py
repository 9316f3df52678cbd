"""Which encoding a catalog's bytes are in, told by the bytes themselves: UTF-8 or GB18030.

Pure. Decides what counts as proof, and that there may be none. Refuses to know files.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
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
}
#: Byte-order marks, as Excel and others write them.
MARKS: Final = {codecs.BOM_UTF8: "utf-8", b"\x84\x31\x95\x33": "gb18030"}

#: What UTF-8 makes of most Chinese letters. In GB18030 three such bytes in a row are rare.
_THREE_BYTES: Final = re.compile(rb"[\xe3-\xe9][\x80-\xbf]{2}")
_BEYOND_TWO_BYTES: Final = re.compile(rb"[\xe0-\xff]")
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_YUAN_SIGN: Final = "¥".encode()


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
    if not _reads(sample, "gb18030", ended=ended):
        return "utf-8"
    if not _reads(sample, "utf-8", ended=ended):
        in_threes = 3 * len(_THREE_BYTES.findall(sample))
        return "utf-8" if in_threes > 0.9 * len(_NOT_ASCII.findall(sample)) else "gb18030"
    # Letters of two bytes in UTF-8 (é, Greek, Cyrillic) are a Chinese letter each in GB18030.
    if _BEYOND_TWO_BYTES.search(sample) or not _NOT_ASCII.search(sample.replace(_YUAN_SIGN, b"")):
        return "utf-8"
    return None


def _reads(sample: bytes, encoding: str, *, ended: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, ended)
    except UnicodeDecodeError:
        return False
    return True
