"""The texts of a workbook: of cells, and those that cells share, which are held in memory.

`_x000D_` in a text stands for a letter and is read as that letter. The reading aid above a text (phonetic run) is no
part of it. A text with letters that are struck out, raised or lowered is a `MarkedText`.
"""

from __future__ import annotations

import re
from typing import Final

from couponpress.catalog.rows import MarkedText
from couponpress.catalog.xlsx_package import Package, main

_ESCAPED: Final = re.compile(r"(?:_x[0-9A-Fa-f]{4}_)+")
_TRUE: Final = frozenset({"1", "true", "on"})
_ITEM: Final = frozenset(main("si"))
_TEXT: Final = frozenset(main("t"))
_PHONETIC: Final = frozenset(main("rPh"))
_RUN: Final = frozenset(main("r"))
_STRIKE: Final = frozenset(main("strike"))
_RAISED: Final = frozenset(main("vertAlign"))


def is_true(text: str | None) -> bool:
    """Whether an attribute says yes."""
    return text is not None and text.strip().lower() in _TRUE


def unescaped(text: str) -> str:
    r"""Return a cell's text with `_xHHHH_` read as the letter of that number.

    >>> unescaped("120344_x000D_"), unescaped("_x005F_x000D_")
    ('120344\r', '_x000D_')
    """
    if "_x" not in text:
        return text
    plain = _ESCAPED.sub(_letters, text)
    return MarkedText(plain) if isinstance(text, MarkedText) else plain


def _letters(found: re.Match[str]) -> str:
    codes = found[0][2:-1].split("__x")
    return b"".join(int(code, 16).to_bytes(2, "big") for code in codes).decode("utf-16-be", "replace")


class TextReader:
    """Reads one text after the other; each is a text of its own, or runs of letters that look different.

    Attributes:
        is_open: whether letters that come now belong to the text.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.is_open = self._is_phonetic = self._of_run = self._is_marked = False

    def begin(self) -> None:
        """Begin a text."""
        self._parts.clear()
        self.is_open = self._is_phonetic = self._of_run = self._is_marked = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take an element that stands in the text."""
        if name in _TEXT:
            self.is_open = not self._is_phonetic
        elif name in _PHONETIC:
            self._is_phonetic = True
        elif name in _RUN:
            self._of_run = False
        elif name in _STRIKE:
            self._of_run |= is_true(attributes.get("val", "1"))
        elif name in _RAISED:
            self._of_run |= attributes.get("val") in {"superscript", "subscript"}

    def end(self, name: str) -> None:
        """Take the end of such an element."""
        if name in _TEXT:
            self.is_open = False
        elif name in _PHONETIC:
            self._is_phonetic = False

    def letters(self, data: str) -> None:
        """Take letters, while the text is open."""
        self._parts.append(data)
        self._is_marked |= self._of_run and not data.isspace()

    def text(self) -> str:
        """Return the text as it is written in the file; see `unescaped`."""
        text = "".join(self._parts)
        return MarkedText(text) if self._is_marked else text


def shared_texts(package: Package, path: str) -> list[str]:
    """Return the texts that cells share.

    Raises:
        DamagedPartError, and others of `Package.parse`: the part is damaged, or too large.
    """
    found: list[str] = []
    reader = TextReader()

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in _ITEM:
            reader.begin()
        else:
            reader.start(name, attributes)

    def end(name: str) -> None:
        if name in _ITEM:
            found.append(unescaped(reader.text()))
        else:
            reader.end(name)

    def text(data: str) -> None:
        if reader.is_open:
            reader.letters(data)

    package.parse(path, start, end, text, kind="texts")
    return found
