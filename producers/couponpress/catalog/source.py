"""Where a catalog comes from: a file, standard input or an open stream, as lines of text or as a workbook's bytes.

The name tells the format. Content that shows at its first bytes that it is something else, such as a compressed file,
is refused with a sentence that says what it is.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from couponpress.catalog.encodings import MARKS, SHOWN, encoding_called, marked_encoding
from couponpress.catalog.lines import Lines
from couponpress.errors import CatalogError

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

_PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar"})
#: Tables of other programs, or of Excel's other formats -> what they are.
_OTHER_TABLES: Final[Mapping[str, str]] = {
    ".xls": "an old workbook (.xls)",
    ".xlsb": "a binary workbook (.xlsb)",
    ".ods": "an OpenDocument spreadsheet (.ods)",
    ".fods": "an OpenDocument spreadsheet (.fods)",
    ".et": "a spreadsheet of WPS (.et)",
    ".numbers": "a spreadsheet of Numbers",
}
_KNOWN: Final = ("csv", "jsonl", "xlsx")
_SAMPLE: Final = 4096
_ZIP: Final = b"PK\x03\x04"
#: What Excel wrote before 2007, and what it writes around a workbook with a password.
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: First bytes of files that hold no text -> what they are, and how to get at the text.
_OTHER_FILES: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "compressed with gzip; unpack it first, as `gunzip` does",
    b"BZh": "compressed with bzip2; unpack it first, as `bunzip2` does",
    b"\xfd7zXZ": "compressed with xz; unpack it first, as `unxz` does",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first, as `unzstd` does",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"%PDF": "a PDF; save the table as 'CSV UTF-8' or .xlsx",
    b"\x89PNG": "a picture; give the catalog that names it",
    b"\xff\xd8\xff": "a picture; give the catalog that names it",
    b"SQLite f": "a database; export the table as CSV",
    b"\xff\xfe\0\0": "UTF-32 text; save it again as UTF-8",
    b"\0\0\xfe\xff": "UTF-32 text; save it again as UTF-8",
}
_WEB_PAGE: Final = re.compile(rb"\s*<(?:!doctype|html|table|\?xml|meta)", re.IGNORECASE)
_NO_TABLE: Final = "a web page or XML; open it in Excel and save it as .xlsx or 'CSV UTF-8'"
#: Bytes that no text has.
_NOT_TEXT: Final = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
#: In a text without a byte-order mark: ASCII in two bytes each, and how many bytes there are to each zero at most.
_UTF16_ASCII: Final = {"utf-16-le": re.compile(rb"(?:[\t -~]\0){3}"), "utf-16-be": re.compile(rb"(?:\0[\t -~]){3}")}
_FEWEST_ZEROS: Final = 3
_BYTES_TO_A_ZERO: Final = 40


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
                self.name, stream = "standard input", sys.stdin.buffer
            else:
                self.path = Path(origin)
                self.name = str(self.path)
        else:
            self.name, stream = "the stream", origin
        self.format = _format_of(self.path, format_name, self.name)
        said = _encoding_of(encoding)
        self.closed = False
        self._spooled: BinaryIO | None = None
        try:
            self._buffered = _buffered(self.path.open("rb") if self.path else stream)
            self._wrapped = self.path is None and self._buffered is not stream
            start = self._buffered.peek(_SAMPLE)[:_SAMPLE]
            self.size = self.path.stat().st_size if self.path else None
        except OSError as error:
            raise unreadable(self.name, error) from None
        self.bom = any(start.startswith(mark) for mark in MARKS)
        # JSON is UTF-8 by its own rules, and a line of it ends at a line feed only.
        of_format = _in_two_bytes(start) or ("utf-8" if self.format == "jsonl" else None)
        is_table = self.format == "csv"
        self.lines = Lines(self._buffered, self.name, encoding=said or of_format, lone_cr=is_table)
        if trouble := _trouble_of(start, self.format, self.name):
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
    return CatalogError(f"{name} cannot be read ({error.strerror}); check the path and who may read it.")


def no_temporary_file(reason: str) -> CatalogError:
    """Return the sentence for what is too long to be held in memory, and found no place on disk."""
    return CatalogError(
        f"a catalog of this length needs a temporary file, which failed ({reason}): make room in the folder for "
        "temporary files, or name another one in TMPDIR."
    )


def undecodable(name: str, error: UnicodeDecodeError, line: int) -> CatalogError:
    """Return the sentence for text that does not decode. `line` is the line with the letter that is none."""
    shown = SHOWN.get(error.encoding, error.encoding)
    return CatalogError(
        f"{name} is not {shown} text (line {line} holds bytes that are no letter of it); mend that line, save the file "
        "again as UTF-8, in Excel as 'CSV UTF-8', or say what it is with --encoding."
    )


def _in_two_bytes(start: bytes) -> str | None:
    """Return which UTF-16 a text is whose first bytes show it."""
    marked = marked_encoding(start)
    if marked in _UTF16_ASCII:
        return marked
    if found := next((name for name, pattern in _UTF16_ASCII.items() if pattern.match(start)), None):
        return found
    # Chinese letters have no zeros in UTF-16; commas, digits and line ends have one each, on the same side.
    zeros = Counter(at % 2 for at, byte in enumerate(start) if byte == 0)
    if sum(zeros.values()) < max(_FEWEST_ZEROS, len(start) // _BYTES_TO_A_ZERO) or len(zeros) != 1:
        return None
    return "utf-16-be" if zeros[0] else "utf-16-le"


def _encoding_of(asked: str | None) -> str | None:
    if asked is None:
        return None
    found = encoding_called(asked)
    if found is None:
        raise CatalogError(f"there is no encoding {asked!r} for catalogs; they are utf-8, gb18030, big5 or utf-16.")
    return found


def _format_of(path: Path | None, asked: str | None, name: str) -> str:
    if asked is not None:
        if asked not in _KNOWN:
            raise CatalogError(f"there is no catalog format {asked!r}; the formats are {', '.join(_KNOWN)}.")
        return asked
    found = FORMATS.get(path.suffix.lower()) if path else None
    if found is None and path and path.suffix.lower() in _PACKED:
        raise CatalogError(f"{name} is compressed; unpack it first, then submit {path.with_suffix('').name}.")
    if found is None and path and path.suffix.lower() in _OTHER_TABLES:
        raise CatalogError(f"{name} is {_other_table(path)}.")
    if found is None:
        raise CatalogError(
            f"the format of {name} cannot be told by its name; add --format {', --format '.join(_KNOWN)}."
        )
    return found


def _other_table(path: Path) -> str:
    """Return what a file under the name of another program's table is, and how to get at its rows.

    Raises:
        CatalogError: it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE)
    except OSError as error:
        raise unreadable(str(path), error) from None
    suffix = path.suffix.lower()
    if suffix == ".xls" and start.startswith(_ZIP):
        return f"a new workbook under an old name; rename it to {path.stem}.xlsx, or add --format xlsx"
    saved = f"open it and save it as .xlsx, then submit {path.stem}.xlsx"
    if _WEB_PAGE.match(start):
        return f"a web page or XML under a workbook's name; {saved}"
    if suffix == ".xls" and start and (_in_two_bytes(start) or not _NOT_TEXT.search(start)):
        return f"text under a workbook's name; {saved}, or add --format csv"
    return f"{_OTHER_TABLES[suffix]}; {saved}"


def _trouble_of(start: bytes, format_name: str, name: str) -> CatalogError | None:
    """Return the sentence for content that shows at once that it is something else."""
    if not start:
        return CatalogError(f"{name} is empty.")
    if other := next((what for magic, what in _OTHER_FILES.items() if start.startswith(magic)), None):
        return CatalogError(f"{name} is {other}.")
    if start.startswith(_OLD_EXCEL):
        return CatalogError(f"{name} is an old .xls, or has a password; save it in Excel as .xlsx without a password.")
    if format_name == "xlsx":
        return None if start.startswith(_ZIP) else CatalogError(f"{name} is {_no_workbook(start)}.")
    if start.startswith(_ZIP):
        return CatalogError(f"{name} is a workbook and no text; give it the suffix .xlsx, or add --format xlsx.")
    return CatalogError(f"{name} is {_NO_TABLE}.") if _WEB_PAGE.match(start) else None


def _no_workbook(start: bytes) -> str:
    if _WEB_PAGE.match(start):
        return _NO_TABLE
    if _in_two_bytes(start) or not _NOT_TEXT.search(start):
        return "text and no workbook; give it the suffix .csv or .jsonl, or add --format csv"
    return "no workbook (.xlsx); see --format"


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(stream)  # type: ignore[arg-type]  # only reading is asked of it
