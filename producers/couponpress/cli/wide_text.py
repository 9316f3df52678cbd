"""Wraps text with wide letters: a Chinese letter takes two columns of a terminal and may end a line (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from unicodedata import combining, east_asian_width

#: What is never torn apart: a wide letter with the signs that may not begin a line, a word, or blanks.
_PIECE: Final = r"[（“《【]*[⺀-鿿豈-﫿぀-ヿ][，。；：！？、）”》】]*|[^\s⺀-鿿豈-﫿぀-ヿ（“《【]+|[（“《【]+|\s+"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> columns("run"), columns("批次")
    (3, 4)
    """
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def padded(text: str, width: int) -> str:
    """Return a text with blanks behind it up to a width in columns."""
    return text + " " * (width - columns(text))


def wrapped(text: str, width: int) -> list[str]:
    """Return a paragraph as lines of at most so many columns. A word that is longer stands on a line of its own.

    >>> wrapped("批次和 run", 6)
    ['批次和', 'run']
    """
    lines = [""]
    for piece in _pieces(text):
        if columns(lines[-1] + piece.rstrip()) > width and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append(piece.lstrip())
        else:
            lines[-1] += piece
    lines[-1] = lines[-1].rstrip()
    return lines


def _pieces(text: str) -> Iterator[str]:
    return (found[0] for found in re.finditer(_PIECE, text))
