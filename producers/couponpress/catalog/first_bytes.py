"""The first bytes of a file show what it is: a compressed file, a table of another program, a web page, UTF-16.

Pure. What is no catalog gets a sentence that says what it is and how to get at its rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

from couponpress.catalog.encodings import marked_encoding
from couponpress.errors import CatalogError
from couponpress.language import gettext, gettext_noop, joined

#: So many bytes are looked at.
SAMPLE: Final = 4096
PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar"})
#: Tables of other programs, or of Excel's other formats -> what they are.
OTHER_TABLES: Final[Mapping[str, str]] = {
    ".xls": gettext_noop("an old workbook (.xls)"),
    ".xlsb": gettext_noop("a binary workbook (.xlsb)"),
    ".ods": gettext_noop("an OpenDocument spreadsheet (.ods)"),
    ".fods": gettext_noop("an OpenDocument spreadsheet (.fods)"),
    ".et": gettext_noop("a spreadsheet of WPS (.et)"),
    ".numbers": gettext_noop("a spreadsheet of Numbers"),
}
_ZIP: Final = b"PK\x03\x04"
#: What Excel wrote before 2007, and what it writes around a workbook with a password.
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: First bytes of files that hold no text -> what they are, and how to get at the text.
_OTHER_FILES: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": gettext_noop("compressed with gzip; unpack it first, as `gunzip` does"),
    b"BZh": gettext_noop("compressed with bzip2; unpack it first, as `bunzip2` does"),
    b"\xfd7zXZ": gettext_noop("compressed with xz; unpack it first, as `unxz` does"),
    b"\x28\xb5\x2f\xfd": gettext_noop("compressed with zstd; unpack it first, as `unzstd` does"),
    b"7z\xbc\xaf": gettext_noop("a 7z archive; unpack it first"),
    b"Rar!": gettext_noop("a RAR archive; unpack it first"),
    b"%PDF": gettext_noop("a PDF; save the table as 'CSV UTF-8' or .xlsx"),
    b"\x89PNG": gettext_noop("a picture; give the catalog that names it"),
    b"\xff\xd8\xff": gettext_noop("a picture; give the catalog that names it"),
    b"SQLite f": gettext_noop("a database; export the table as CSV"),
    b"\xff\xfe\0\0": gettext_noop("UTF-32 text; save it again as UTF-8"),
    b"\0\0\xfe\xff": gettext_noop("UTF-32 text; save it again as UTF-8"),
}
_WEB_PAGE: Final = re.compile(rb"\s*<(?:!doctype|html|table|\?xml|meta)", re.IGNORECASE)
_NO_TABLE: Final = gettext_noop("a web page or XML; open it in Excel and save it as .xlsx or 'CSV UTF-8'")
#: Bytes that no text has.
_NOT_TEXT: Final = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
#: In a text without a byte-order mark: ASCII in two bytes each, and how many bytes there are to each zero at most.
_UTF16_ASCII: Final = {"utf-16-le": re.compile(rb"(?:[\t -~]\0){3}"), "utf-16-be": re.compile(rb"(?:\0[\t -~]){3}")}
_FEWEST_ZEROS: Final = 3
_BYTES_TO_A_ZERO: Final = 40


def utf16_of(start: bytes) -> str | None:
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


def other_table(path: PurePath, start: bytes) -> str:
    """Return what a file under the name of another program's table is, and how to get at its rows."""
    suffix = path.suffix.lower()
    if suffix == ".xls" and start.startswith(_ZIP):
        return gettext("a new workbook under an old name; rename it to %(stem)s.xlsx, or add --format xlsx") % {
            "stem": path.stem
        }
    saved = gettext("open it and save it as .xlsx, then submit %(stem)s.xlsx") % {"stem": path.stem}
    if _WEB_PAGE.match(start):
        return gettext("a web page or XML under a workbook's name; %(saved)s") % {"saved": saved}
    if suffix == ".xls" and start and (utf16_of(start) or not _NOT_TEXT.search(start)):
        return gettext("text under a workbook's name; %(saved)s, or add --format csv") % {"saved": saved}
    return joined((gettext(OTHER_TABLES[suffix]), saved), "; ")


def trouble_of(start: bytes, format_name: str, name: str) -> CatalogError | None:
    """Return the sentence for content that shows at once that it is something else."""
    if not start:
        return CatalogError(gettext("%(name)s is empty.") % {"name": name})
    if other := next((what for magic, what in _OTHER_FILES.items() if start.startswith(magic)), None):
        return CatalogError(gettext("%(name)s is %(other)s.") % {"name": name, "other": gettext(other)})
    if start.startswith(_OLD_EXCEL):
        return CatalogError(
            gettext("%(name)s is an old .xls, or has a password; save it in Excel as .xlsx without a password.")
            % {"name": name}
        )
    if format_name == "xlsx":
        return (
            None
            if start.startswith(_ZIP)
            else CatalogError(gettext("%(name)s is %(other)s.") % {"name": name, "other": _no_workbook(start)})
        )
    if start.startswith(_ZIP):
        return CatalogError(
            gettext("%(name)s is a workbook and no text; give it the suffix .xlsx, or add --format xlsx.")
            % {"name": name}
        )
    return (
        CatalogError(gettext("%(name)s is %(other)s.") % {"name": name, "other": gettext(_NO_TABLE)})
        if _WEB_PAGE.match(start)
        else None
    )


def _no_workbook(start: bytes) -> str:
    if _WEB_PAGE.match(start):
        return gettext(_NO_TABLE)
    if utf16_of(start) or not _NOT_TEXT.search(start):
        return gettext("text and no workbook; give it the suffix .csv or .jsonl, or add --format csv")
    return gettext("no workbook (.xlsx); see --format")
