"""Where a catalog comes from: a file, standard input or an open stream, as lines of text or as a workbook's bytes.

The name tells the format. Content that shows at its first bytes that it is something else, such as a compressed file,
is refused with a sentence that says what it is.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from couponpress.catalog.encodings import MARKS, SHOWN, encoding_called
from couponpress.catalog.first_bytes import OTHER_TABLES, PACKED, SAMPLE, other_table, trouble_of, utf16_of
from couponpress.catalog.lines import Lines
from couponpress.errors import CatalogError, system_error
from couponpress.language import gettext, joined, quoted

#: Suffix -> format; the formats are also the values of `--format`.
FORMATS: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xltx": "xlsx",
    ".xltm": "xlsx",
}

_KNOWN: Final = ("csv", "jsonl", "xlsx")


class Source:
    """An open catalog; whoever made it closes it.

    Attributes:
        name: what to call it in messages.
        path: the file, or None for standard input and streams.
        format: `csv`, `jsonl` or `xlsx`.
        bom: whether the text begins with a byte-order mark, as Excel writes it.
        lines: the text; a workbook has none.
        size: how many bytes there are to read, where that is known.
    """

    def __init__(
        self, origin: str | Path | BinaryIO, format_name: str | None = None, encoding: str | None = None
    ) -> None:
        """Open a path, `-` for standard input, or a binary stream. An encoding that is said is not told by the content.

        Raises:
            CatalogError: it cannot be opened, is empty, or its format or the encoding is not known.
        """
        self.path = None
        stream: BinaryIO
        if isinstance(origin, str | Path):
            if str(origin) == "-":
                self.name, stream = gettext("standard input"), sys.stdin.buffer
            else:
                self.path = Path(origin)
                self.name = str(self.path)
        else:
            self.name, stream = gettext("the stream"), origin
        self.format = _format_of(self.path, format_name, self.name)
        said = _encoding_of(encoding)
        self.closed = False
        self._spooled: BinaryIO | None = None
        try:
            self._buffered = _buffered(self.path.open("rb") if self.path else stream)
            self._wrapped = self.path is None and self._buffered is not stream
            start = self._buffered.peek(SAMPLE)[:SAMPLE]
            self.size = self.path.stat().st_size if self.path else None
        except OSError as error:
            raise unreadable(self.name, error) from None
        self.bom = any(start.startswith(mark) for mark in MARKS)
        # JSON is UTF-8 by its own rules, and a line of it ends at a line feed only.
        of_format = utf16_of(start) or ("utf-8" if self.format == "jsonl" else None)
        is_table = self.format == "csv"
        self.lines = Lines(self._buffered, self.name, encoding=said or of_format, lone_cr=is_table)
        if trouble := trouble_of(start, self.format, self.name):
            self.close()
            raise trouble

    @property
    def bytes_read(self) -> int:
        """How much of it was read."""
        if self.format != "xlsx" or self.closed:
            return self.lines.bytes_read
        return (self._spooled or self._buffered).tell()

    def seekable(self) -> BinaryIO:
        """Return the bytes of a workbook, which is read from its end first; a stream is copied to a temporary file.

        Raises:
            OSError: it cannot be copied.
        """
        if self.path:
            return self._buffered
        self._spooled = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
        shutil.copyfileobj(self._buffered, self._spooled)
        self._spooled.seek(0)
        return self._spooled

    def close(self) -> None:
        """Close the file; a stream that was given is let go of, not closed."""
        if self.closed:
            return
        self.closed = True
        if self._spooled is not None:
            self._spooled.close()
        if self.path:
            self._buffered.close()
        elif self._wrapped:
            self._buffered.detach()


def unreadable(name: str, error: OSError) -> CatalogError:
    """Return the sentence for a catalog that the system does not give."""
    return CatalogError(
        gettext("%(name)s cannot be read (%(reason)s); check the path and who may read it.")
        % {"name": name, "reason": system_error(error)}
    )


def no_temporary_file(reason: str) -> CatalogError:
    """Return the sentence for what is too long to be held in memory, and found no place on disk."""
    return CatalogError(
        gettext(
            "a catalog of this length needs a temporary file, which failed (%(reason)s): make room "
            "in the folder for temporary files, or name another one in TMPDIR."
        )
        % {"reason": reason}
    )


def undecodable(name: str, error: UnicodeDecodeError, line: int) -> CatalogError:
    """Return the sentence for text that does not decode. `line` is the line with the letter that is none."""
    shown = SHOWN.get(error.encoding, error.encoding)
    return CatalogError(
        gettext(
            "%(name)s is not %(shown)s text (line %(line)s holds bytes that are no letter of it); "
            "mend that line, save the file again as UTF-8, in Excel as 'CSV UTF-8', or say what it "
            "is with --encoding."
        )
        % {"name": name, "shown": shown, "line": line}
    )


def _encoding_of(asked: str | None) -> str | None:
    if asked is None:
        return None
    found = encoding_called(asked)
    if found is None:
        raise CatalogError(
            gettext("there is no encoding %(asked)s for catalogs; they are utf-8, gb18030, big5 or utf-16.")
            % {"asked": quoted(asked)}
        )
    return found


def _format_of(path: Path | None, asked: str | None, name: str) -> str:
    if asked is not None:
        if asked not in _KNOWN:
            raise CatalogError(
                gettext("there is no catalog format %(asked)s; the formats are %(known)s.")
                % {"asked": quoted(asked), "known": joined(_KNOWN, ", ")}
            )
        return asked
    found = FORMATS.get(path.suffix.lower()) if path else None
    if found is None and path and path.suffix.lower() in PACKED:
        raise CatalogError(
            gettext("%(name)s is compressed; unpack it first, then submit %(unpacked)s.")
            % {"name": name, "unpacked": path.with_suffix("").name}
        )
    if found is None and path and path.suffix.lower() in OTHER_TABLES:
        raise CatalogError(gettext("%(name)s is %(other)s.") % {"name": name, "other": _other_table(path)})
    if found is None:
        raise CatalogError(
            gettext("the format of %(name)s cannot be told by its name; add %(formats)s.")
            % {"name": name, "formats": joined(f"--format {one}" for one in _KNOWN)}
        )
    return found


def _other_table(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return other_table(path, file.read(SAMPLE))
    except OSError as error:
        raise unreadable(str(path), error) from None


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(stream)  # type: ignore[arg-type]  # only reading is asked of it
