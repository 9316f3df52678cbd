"""Bytes become lines of text, in constant memory.

Without a given encoding, the first bytes that are not ASCII tell it. A letter that is not of the encoding raises after
every line before its own was given.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Final

from couponpress.catalog.encodings import decoded, decoder_of, marked_encoding, told_encoding
from couponpress.errors import CatalogError
from couponpress.language import gettext

#: How much is read at once, and how much is looked at from the first letter that is not ASCII.
_CHUNK_BYTES: Final = 64 * 1024
#: A longer line is no row of a catalog.
_LONGEST_LINE: Final = 16 * 1024 * 1024
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")


class Lines:
    """The lines of a text; iterate it once. Line ends are kept as they are, a byte-order mark is dropped.

    Attributes:
        encoding: as `encodings` calls it; None while nothing but ASCII was seen and nobody said it.
        given: how many lines were given so far.
        bytes_read: how much of the text was read.
    """

    def __init__(self, stream: io.BufferedReader, name: str, *, encoding: str | None, lone_cr: bool) -> None:
        """Prepare to read. `name` names the text in errors; with `lone_cr` a CR by itself ends a line too."""
        self._stream = stream
        self._name = name
        self._lone_cr = lone_cr
        self._decode: Callable[[bytes, bool], str] | None = None
        self.encoding: str | None = None
        self.bytes_read = self.given = 0
        if encoding is not None:
            self._settle(encoding)

    def __iter__(self) -> Iterator[str]:
        """Give every line.

        Raises:
            UnicodeDecodeError: a letter is not of the encoding; every line before its own was given.
            CatalogError: the encoding cannot be told, or a line has no end.
            OSError: reading failed.
        """
        newline = "" if self._lone_cr else "\n"
        rest, at_start, ended = "", True, False
        while not ended:
            chunk = self._chunk()
            ended = not chunk
            trouble = None
            try:
                text = self._text(chunk, ended)
            except UnicodeDecodeError as error:
                trouble = error
                text = decoded(error.object[: error.start], self.encoding or error.encoding)
            if at_start and text:
                text, at_start = text.lstrip("\ufeff"), False
            text = rest + text
            cut = len(text) if ended and not trouble else self._end_of_lines(text)
            for line in io.StringIO(text[:cut], newline=newline):
                self.given += 1
                yield line
            if trouble:
                raise trouble
            rest = text[cut:]
            if len(rest) > _LONGEST_LINE:
                raise CatalogError(
                    gettext("%(name)s has a line of more than 16 million letters; it is no catalog.")
                    % {"name": self._name}
                )

    def _chunk(self) -> bytes:
        chunk = self._stream.read1(_CHUNK_BYTES)
        self.bytes_read += len(chunk)
        return chunk

    def _text(self, chunk: bytes, ended: bool) -> str:
        if self._decode is None:
            found = _NOT_ASCII.search(chunk)
            if found is None:
                return chunk.decode("ascii")
            ended_early = False
            settled = marked_encoding(chunk[found.start() :]) is not None  # nothing more need be waited for
            while not settled and len(chunk) - found.start() < _CHUNK_BYTES and not ended_early:
                more = self._chunk()
                ended_early = not more
                chunk += more
            encoding = told_encoding(chunk[found.start() :], ended=ended_early)
            if encoding is None:
                raise CatalogError(
                    gettext(
                        "%(name)s could be UTF-8 or GB18030: its few letters that are not English read well as "
                        "both. Say which it is: --encoding utf-8 or --encoding gb18030."
                    )
                    % {"name": self._name}
                )
            self._settle(encoding)
            return self._text(chunk, ended)
        return self._decode(chunk, ended)

    def _settle(self, encoding: str) -> None:
        self.encoding = encoding
        self._decode = decoder_of(encoding)

    def _end_of_lines(self, text: str) -> int:
        """Where the last whole line ends. A CR at the very end may be one half of a CR LF."""
        end = text.rfind("\n") + 1
        return max(end, text.rfind("\r", end, len(text) - 1) + 1) if self._lone_cr else end
