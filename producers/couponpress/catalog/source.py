"""Where a catalog's text comes from: a file, standard input or an open stream, as lines of UTF-8.

Decides the format by name, and whether there is anything to read. Refuses to know what the lines mean.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from couponpress.errors import CatalogError

#: Suffix -> format; the formats are also the values of `--format`.
FORMATS: Final[Mapping[str, str]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}

_BOM: Final = b"\xef\xbb\xbf"


class Source:
    """An open catalog as lines of text; whoever made it closes it.

    Attributes:
        name: what to call it in messages.
        path: the file, or None for standard input and streams.
        format: `csv` or `jsonl`.
        bom: whether the text begins with a byte-order mark, as Excel writes it.
        lines: the text; line ends are kept as they are.
    """

    def __init__(self, origin: str | Path | BinaryIO, format_name: str | None = None) -> None:
        """Open a path, `-` for standard input, or a binary stream.

        Raises:
            CatalogError: it cannot be opened, is empty, or its format is not known.
        """
        self.path = None
        stream: BinaryIO
        if isinstance(origin, str | Path):
            if str(origin) == "-":
                self.name, stream = "standard input", sys.stdin.buffer
            else:
                self.path = Path(origin)
                self.name = str(self.path)
        else:
            self.name, stream = "the stream", origin
        self.format = _format_of(self.path, format_name, self.name)
        try:
            self._buffered = _buffered(self.path.open("rb") if self.path else stream)
            self._wrapped = self.path is None and self._buffered is not stream
            start = self._buffered.peek(len(_BOM))
        except OSError as error:
            raise unreadable(self.name, error) from None
        self.bom = start.startswith(_BOM)
        # In a table a lone CR may end a line; in JSONL only LF does. utf-8-sig drops the mark, if there is one.
        self.lines = io.TextIOWrapper(self._buffered, "utf-8-sig", newline="" if self.format == "csv" else "\n")
        self.closed = False
        if not start:
            self.close()
            raise CatalogError(f"{self.name} is empty.")

    def close(self) -> None:
        """Close the file; a stream that was given is let go of, not closed."""
        if self.closed:
            return
        self.closed = True
        self.lines.detach()
        if self.path:
            self._buffered.close()
        elif self._wrapped:
            self._buffered.detach()


def unreadable(name: str, error: OSError) -> CatalogError:
    """Return the sentence for a catalog that the system does not give."""
    return CatalogError(f"{name} cannot be read ({error.strerror}); check the path and who may read it.")


def not_utf8(name: str, last_line: int) -> CatalogError:
    """Return the sentence for text that does not decode. `last_line` is the last line that was read well."""
    where = f"after line {last_line}" if last_line else "from the start"
    return CatalogError(f"{name} is not UTF-8 text ({where}); save it again as UTF-8, in Excel as 'CSV UTF-8'.")


def _format_of(path: Path | None, asked: str | None, name: str) -> str:
    known = sorted(set(FORMATS.values()))
    if asked is not None:
        if asked not in known:
            raise CatalogError(f"there is no catalog format {asked!r}; the formats are {' and '.join(known)}.")
        return asked
    found = FORMATS.get(path.suffix.lower()) if path else None
    if found is None:
        raise CatalogError(
            f"the format of {name} cannot be told by its name; add --format {' or --format '.join(known)}."
        )
    return found


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(stream)  # type: ignore[arg-type]  # only reading is asked of it
