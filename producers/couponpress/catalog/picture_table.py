"""Keeps the pictures that catalogs name, and the state of each, in constant memory.

The table is a private sqlite database, which moves to a temporary file above a megabyte. A query takes some 10 µs; an
upload takes 50 ms of its limit.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from couponpress.catalog.source import no_temporary_file
from couponpress.picture_files import Settled

if TYPE_CHECKING:
    import sqlite3

#: How many sources are read at once while others are settled.
_AT_ONCE: Final = 500

_BEGIN: Final = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA cache_size = -1024",
    "CREATE TABLE pictures (id INTEGER PRIMARY KEY, source BLOB UNIQUE, url TEXT, reason BLOB)",
)
_COUNT: Final = "SELECT count(*) FROM pictures"
_ADD: Final = "INSERT INTO pictures (source) VALUES (?) ON CONFLICT DO NOTHING"
_NEXT: Final = "SELECT id, source FROM pictures WHERE id > ? ORDER BY id LIMIT ?"
_SETTLE: Final = (
    "INSERT INTO pictures (source, url, reason) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET url = excluded.url, reason = excluded.reason"
)
_ASK: Final = "SELECT url, reason FROM pictures WHERE source = ?"


class PictureTable:
    """Sources of pictures in the order in which they were added, each once. For one thread at a time."""

    def __init__(self) -> None:
        self._open: sqlite3.Connection | None = None

    def __len__(self) -> int:
        """How many there are."""
        return 0 if self._open is None else int(self._rows(_COUNT)[0][0])

    def __iter__(self) -> Iterator[str]:
        """Give every source; they may be settled meanwhile."""
        last = 0
        while batch := self._rows(_NEXT, last, _AT_ONCE):
            yield from (_text(source) for _, source in batch)
            last = batch[-1][0]

    def add(self, source: str) -> None:
        """Add a source, unless it is there.

        Raises:
            CatalogError: the temporary file failed; so do all of these.
        """
        self._rows(_ADD, _bytes(source))

    def settle(self, settled: Settled) -> None:
        """Keep what became of a source."""
        self._rows(_SETTLE, _bytes(settled.source), settled.url, _bytes(settled.reason))

    def settled(self, source: str) -> Settled | None:
        """Return what became of a source; None while that is not known."""
        for url, reason in self._rows(_ASK, _bytes(source)):
            return None if url is None else Settled(source, url, _text(reason))
        return None

    def _rows(self, statement: str, *values: str | bytes | int) -> list[Any]:
        import sqlite3  # noqa: PLC0415 - most catalogs name no such picture

        try:
            if self._open is None:
                self._open = sqlite3.connect("", isolation_level=None, check_same_thread=False)
                weakref.finalize(self, self._open.close)
                for words in _BEGIN:
                    self._open.execute(words)
            return self._open.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise no_temporary_file(str(error)) from None


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # JSON may hold half a letter


def _text(stored: bytes) -> str:
    return stored.decode(errors="surrogatepass")
