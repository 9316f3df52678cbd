"""Cuts the XML of a sheet into rows that are spelled plainly, and into pieces that an XML parser must read.

Most programs write each row in one spelling: a `row` with a number, and `c` elements of one value each. Such rows are
found by regular expressions, in a tenth of the time that a parser with handlers in Python takes. Their cells look alike
row after row, so one expression is made of the spellings that were seen (`row_template`), and takes a whole row in one
step. Everything else is given as it stands, in its order, so that the parser sees a well-formed document without the
plain rows. Once something comes between rows that may change what is around them, such as a comment, the whole rest
goes to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import IO, Final, NamedTuple

from couponpress.catalog.row_template import ATTRIBUTES, PLAIN, RowTemplate

MOST_COLUMNS: Final = 16_384
_LETTERS: Final = re.compile("[A-Z]{1,3}").fullmatch
_BLOCK: Final = 1 << 16
#: A longer head, or a longer row, goes to the parser, which has its own bounds.
_LONGEST: Final = 1 << 19
_ROWS: Final = b"<sheetData>"
_END: Final = "</row>"
_REFERENCE: Final = re.compile(r"&(#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ROW: Final = re.compile(rf"[ \t\r\n]*<row({ATTRIBUTES}) ?>")
_EMPTY_ROWS: Final = re.compile(r"(?:[ \t\r\n]*<row [^<>]*/>)*")
_ATTRIBUTE: Final = re.compile(r' ([A-Za-z0-9:]+)="([^"]*)"')
#: Column, row and other attributes of a cell, and its text: a value, or a text of its own.
_CELL: Final = re.compile(
    r'<c r="([A-Z]{1,3})([1-9][0-9]{0,7})"((?: [a-z]+="[A-Za-z0-9]*")*)'
    rf'(?: ?/>|>(?:<v>({PLAIN})</v>|<is><t(?: xml:space="preserve")?>({PLAIN})</t></is>)?</c>)'
)
#: How many pieces `_CELL.split` makes of a cell: what stands before it, and its groups.
_PIECES: Final = 6
#: Makes a row in two thirds of the time that its class takes.
_made: Final = tuple.__new__
_ENCODING: Final = re.compile(rb"""<\?xml[^>]*encoding=["']([^"']*)["']""")


class PlainRow(NamedTuple):
    """A row that is spelled plainly.

    Attributes:
        attributes: those of the row.
        columns: each cell's column, from 0, rising.
        others: the other attributes of each cell, for `style_and_kind`.
        contents: each cell's value or own text, or None; see `unreferenced`.
    """

    attributes: dict[str, str]
    columns: Sequence[int]
    others: Sequence[str]
    contents: Sequence[str | None]


class SheetScanner:
    """Scans the part of one sheet."""

    def __init__(self, is_between_rows: Callable[[], bool]) -> None:
        """Prepare to scan; `is_between_rows` tells whether the parser, as far as it was fed, expects a row."""
        self._is_between_rows = is_between_rows
        self._may_be_plain = True
        self._head = b""
        self._template = RowTemplate()

    def pieces(self, part: IO[bytes]) -> Iterator[bytes | PlainRow]:
        """Give plain rows and what must be parsed, in order; each piece must be fed before the next one is taken."""
        rest, begun = b"", False
        while block := part.read(_BLOCK):
            rest += block
            if self._may_be_plain and not begun and (at := rest.find(_ROWS)) >= 0:
                begun = True
                self._head, rest = rest[: at + len(_ROWS)], rest[at + len(_ROWS) :]
                yield self._head
                self._may_be_plain = self._is_between_rows() and _is_plain_head(self._head)
            if self._may_be_plain and begun and (cut := rest.rfind(b"</row>") + len(_END)) >= len(_END):
                whole, rest = rest[:cut], rest[cut:]
                yield from self._rows(whole)
            if rest and (not self._may_be_plain or len(rest) > _LONGEST):
                self._may_be_plain = False
                yield rest
                rest = b""
        if rest:
            yield rest

    def _rows(self, whole: bytes) -> Iterator[bytes | PlainRow]:
        try:
            pieces = whole.decode("utf-8").split(_END)
        except UnicodeDecodeError:
            self._may_be_plain = False
            yield whole
            return
        for at, piece in enumerate(pieces[:-1]):
            row = self._row_like_others(piece) or self._row(piece)
            if row is not None:
                yield row
                continue
            yield (piece + _END).encode()
            if not (_is_one_row(piece) and self._is_between_rows()):
                self._may_be_plain = False
                yield _END.join(pieces[at + 1 :]).encode()
                return

    def _row_like_others(self, piece: str) -> PlainRow | None:
        """Return a plain row whose cells are all spelled as in earlier rows; None for any other one."""
        template = self._template
        found = template.match(piece)
        if found is None:
            return None
        number, others, *contents = found.groups()
        if "&" in piece:
            for one in contents:
                if one and "&" in one and not _is_plain(one):
                    return None
        attributes = {"r": number}
        if others:
            more = self._attributes(others)
            if more is None or "r" in more:
                return None
            attributes |= more
        return _made(PlainRow, (attributes, template.columns, template.others, contents))

    def _attributes(self, text: str) -> dict[str, str] | None:
        """Return the attributes of a row; None if one stands twice, or may be in a namespace that is not known."""
        pairs = _ATTRIBUTE.findall(text)
        found = dict(pairs)
        is_odd = len(found) < len(pairs) or "xmlns" in text or (":" in text and not self._are_declared(found))
        return None if is_odd else found

    def _row(self, piece: str) -> PlainRow | None:
        found = _ROW.match(piece)
        if found is None:
            return None
        attributes = self._attributes(found[1])
        if attributes is None:
            return None
        parts = _CELL.split(piece[found.end() :])
        letters, others = parts[1::_PIECES], parts[3::_PIECES]
        columns = _columns(tuple(letters), tuple(others))
        if columns is None or any(parts[::_PIECES]):
            return None
        if "&" in piece and None in map(_letter, _REFERENCE.findall(piece)):
            return None
        if parts[2::_PIECES].count(attributes.get("r")) != len(letters):
            return None
        values, texts = parts[4::_PIECES], parts[5::_PIECES]
        self._template.learn(letters, columns, others, values, texts)
        return PlainRow(attributes, columns, others, [value or text for value, text in zip(values, texts, strict=True)])

    def _are_declared(self, attributes: dict[str, str]) -> bool:
        """Whether the prefix of each attribute is known from the begin of the sheet."""
        prefixes = [name.split(":") for name in attributes if ":" in name]
        return all(len(one) == 2 and f' xmlns:{one[0]}="'.encode() in self._head for one in prefixes)


def unreferenced(text: str) -> str:
    """Return a plain text with the letters that its references stand for.

    >>> unreferenced("a&amp;b &#33590;")
    'a&b 茶'
    """
    return _REFERENCE.sub(lambda found: _letter(found[1]) or "", text) if "&" in text else text


@lru_cache(maxsize=4096)
def _is_plain(text: str) -> bool:
    """Whether every reference in a text stands for a letter."""
    return None not in map(_letter, _REFERENCE.findall(text))


@lru_cache(maxsize=4096)
def _letter(reference: str) -> str | None:
    """Return the letter of a reference; None if XML has no such letter, or it is a control character."""
    if not reference.startswith("#"):
        return _NAMED[reference]
    digits = reference[1:]
    code = int(digits[1:], 16) if digits[0] == "x" else int(digits)
    is_letter = 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return chr(code) if is_letter else None


@lru_cache(maxsize=MOST_COLUMNS)
def column_of(letters: str) -> int | None:
    """Return a column, from 0, by its letters; None if there is none.

    >>> column_of("A"), column_of("AB"), column_of("XFD"), column_of("XFE"), column_of("a")
    (0, 27, 16383, None, None)
    """
    if not _LETTERS(letters):
        return None
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1 if column <= MOST_COLUMNS else None


@lru_cache(maxsize=1024)  # a sheet has few different ones
def style_and_kind(attributes: str) -> tuple[str, str] | None:
    """Return what the attributes `s` and `t` of a cell say; None if one attribute stands twice, or names a namespace.

    >>> style_and_kind(' s="7" t="s"'), style_and_kind("")
    (('7', 's'), ('0', 'n'))
    """
    pairs = [*_ATTRIBUTE.findall(attributes), ("r", "")]
    found = dict(pairs)
    return None if len(found) < len(pairs) or "xmlns" in found else (found.get("s", "0"), found.get("t", "n"))


@lru_cache(maxsize=1024)  # a sheet has few different ones
def _columns(letters: tuple[str, ...], others: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the columns of a row's cells; None if one is none, if they do not rise, or a cell's attributes are odd."""
    columns = [column for one in letters if (column := column_of(one)) is not None]
    if len(columns) < len(letters) or columns != sorted(set(columns)) or None in map(style_and_kind, others):
        return None
    return tuple(columns)


def _is_plain_head(head: bytes) -> bool:
    """Whether the begin of a sheet is UTF-8, and nothing in it can make its rows anything but rows."""
    encoding = _ENCODING.search(head)
    is_utf8 = encoding is None or encoding[1].lower() in {b"utf-8", b"utf8"}
    return is_utf8 and b"<!" not in head and head.count(b"<?") <= 1


def _is_one_row(piece: str) -> bool:
    """Whether a piece, ended by the end of a row, is one whole row, behind empty ones, if it is well-formed at all."""
    row = _EMPTY_ROWS.sub("", piece, count=1)
    return (
        row.lstrip(" \t\r\n").startswith("<row")
        and row.count("<row") == 1
        and not any(mark in piece for mark in ("<!", "<?", "xmlns"))
    )
