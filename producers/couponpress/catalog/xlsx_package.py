"""A workbook as the zip file that it is: its parts are checked before they are unpacked, and read as XML.

Parts are found by name in any case. A document type or an entity in a part, an encoding that is no usual one, and a
tag of megabytes are refused, and nothing is unpacked that the zip's directory shows to be out of proportion.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import IO, BinaryIO, Final
from xml.parsers import expat

from couponpress.errors import CatalogError
from couponpress.language import gettext, gettext_noop, quoted

#: Both namespaces of ECMA-376: the usual one, and that of "Strict Open XML".
MAIN: Final = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
RELATIONSHIPS: Final = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"

#: In bytes. A sheet of a million rows with twenty columns has some 1 GB; shared texts are held in memory.
_LARGEST: Final[Mapping[str, int]] = {"sheet": 4 << 30, "texts": 256 << 20, "other": 32 << 20}
#: Real sheets are packed to a twentieth or so; more than this is a file that is made to fill a disk or a memory.
_DENSEST: Final = 400
_DENSITY_FROM: Final = 64 << 20
_MOST_PARTS: Final = 20_000
_BLOCK: Final = 1 << 16
_LONGEST_TAG: Final = 1 << 20
_ENCODINGS: Final = frozenset({"utf-8", "utf8", "utf-16", "us-ascii", "iso-8859-1"})

_SAVE_AGAIN: Final = gettext_noop("open it in Excel and save it again as .xlsx")

Start = Callable[[str, dict[str, str]], object]


class DamagedPartError(ValueError):
    """A part of a workbook breaks the rules of its format; the message says how."""


class Package:
    """The parts of an open workbook.

    Attributes:
        name: what the file is called in messages.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the directory of the zip file and check it.

        Raises:
            CatalogError: it is encrypted, packed in a way that is not read, or unpacks to too much.
            zipfile.BadZipFile: it is no zip file, and other errors of damaged ones.
        """
        self.name = name
        self._zip = zipfile.ZipFile(file)
        self._parts: dict[str, zipfile.ZipInfo] = {}
        self._twice: set[str] = set()
        infos = self._zip.infolist()
        if len(infos) > _MOST_PARTS:
            raise CatalogError(
                gettext("%(name)s has %(infos)s parts, more than any workbook; %(save_again)s.")
                % {"name": name, "infos": len(infos), "save_again": gettext(_SAVE_AGAIN)}
            )
        for info in infos:
            for key in {_key(info.filename), _key(info.filename).lower()}:
                if key in self._parts and key == _key(info.filename):
                    self._twice.add(key)
                self._parts.setdefault(key, info)
            self._check(info)

    def _check(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 0x41:
            raise CatalogError(gettext("%(name)s has a password; save it in Excel without one.") % {"name": self.name})
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise CatalogError(
                gettext(
                    "%(name)s is packed in a way that is not read (method %(compress_type)s, such as "
                    "Deflate64); %(save_again)s."
                )
                % {"name": self.name, "compress_type": info.compress_type, "save_again": gettext(_SAVE_AGAIN)}
            )
        if info.file_size > _DENSITY_FROM and info.file_size > _DENSEST * info.compress_size:
            raise CatalogError(
                gettext(
                    "%(name)s unpacks to %(file_size)s MB from %(compress_size)s KB, as no workbook of rows "
                    "does; nothing was unpacked. Copy the rows into a new workbook."
                )
                % {
                    "name": self.name,
                    "file_size": f"{info.file_size >> 20:,}",
                    "compress_size": f"{info.compress_size >> 10:,}",
                }
            )

    def has(self, path: str) -> bool:
        """Whether there is such a part."""
        return self._find(path) is not None

    def _find(self, path: str) -> zipfile.ZipInfo | None:
        key = _key(path)
        return self._parts.get(key) or self._parts.get(key.lower())

    def open(self, path: str, kind: str = "other") -> IO[bytes]:
        """Open a part. `kind` is `sheet`, `texts` or `other`, which bounds its size.

        Raises:
            CatalogError: it is too large.
            DamagedPartError: it is not there, or stands twice.
        """
        info = self._find(path)
        if info is None:
            raise DamagedPartError(gettext("the part %(path)s is missing") % {"path": path})
        if _key(info.filename) in self._twice:
            raise DamagedPartError(gettext("the part %(path)s stands twice") % {"path": path})
        if info.file_size > _LARGEST[kind]:
            raise CatalogError(
                gettext(
                    "%(name)s: %(path)s unpacks to %(file_size)s MB, and %(largest)s MB is the most that is "
                    "read; split the workbook, or save it as 'CSV UTF-8'."
                )
                % {
                    "name": self.name,
                    "path": path,
                    "file_size": f"{info.file_size >> 20:,}",
                    "largest": f"{_LARGEST[kind] >> 20:,}",
                }
            )
        return self._zip.open(info)

    def parse(
        self,
        path: str,
        start: Start,
        end: Callable[[str], object] | None = None,
        text: Callable[[str], object] | None = None,
        kind: str = "other",
    ) -> None:
        """Call the handlers for every element of a part; names are `namespace name`, see `main`.

        Raises:
            DamagedPartError, expat.ExpatError, CatalogError: the part cannot be read.
        """
        parser = xml_parser()
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text
        with self.open(path, kind) as part:
            for _ in fed(parser, blocks_of(part)):
                pass

    def relations(self, of: str) -> list[tuple[str, str, str]]:
        """Return the relations of a part, `""` for the workbook's own, as id, last word of the type, and path."""
        home, leaf = posixpath.split(of)
        path = posixpath.join(home, "_rels", f"{leaf}.rels")
        found: list[tuple[str, str, str]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == f"{_PACKAGE} Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.join("/", home, attributes.get("Target", "").replace("\\", "/"))
                kind = attributes.get("Type", "").rpartition("/")[2]
                found.append((attributes.get("Id", ""), kind, posixpath.normpath(target).lstrip("/")))

        if self.has(path):
            self.parse(path, start)
        return found


def main(name: str) -> tuple[str, str]:
    """Return the names that `Package.parse` gives to an element of a workbook, in both namespaces."""
    return f"{MAIN[0]} {name}", f"{MAIN[1]} {name}"


def xml_parser() -> expat.XMLParserType:
    """Return a parser that knows no document types and no entities."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = _BLOCK
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.XmlDeclHandler = _check_encoding
    return parser


def fed(parser: expat.XMLParserType, blocks: Iterable[bytes]) -> Iterator[None]:
    """Give a parser a part, block by block; yields after each block.

    Raises:
        DamagedPartError: a tag is longer than any that a workbook has.
    """
    given = 0
    for block in blocks:
        parser.Parse(block, False)
        given += len(block)
        if given - max(parser.CurrentByteIndex, 0) > _LONGEST_TAG:
            raise DamagedPartError(gettext("a tag is longer than a megabyte"))
        yield
    parser.Parse(b"", True)
    yield


def blocks_of(part: IO[bytes]) -> Iterator[bytes]:
    """Read a part block by block."""
    return iter(partial(part.read, _BLOCK), b"")


def mentioned(part: IO[bytes], words: Iterable[str]) -> set[str]:
    """Return which of some words may stand in a part; looks at its bytes only, in UTF-8 or UTF-16.

    Only UTF-16 has bytes of 0: no XML holds that letter.
    """
    missing = {word: (word.encode(), word.encode("utf-16-le")[:-1]) for word in words}
    overlap = max(map(len, missing)) * 2
    found: set[str] = set()
    rest = b""
    while missing and (block := part.read(1 << 20)):
        rest += block
        spellings = 2 if b"\0" in rest else 1
        found |= {word for word, needles in missing.items() if any(needle in rest for needle in needles[:spellings])}
        missing = {word: needles for word, needles in missing.items() if word not in found}
        rest = rest[-overlap:]
    return found


def _refuse_document_type(*_: object) -> None:
    raise DamagedPartError(gettext("a part has a document type, which no workbook has"))


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise DamagedPartError(gettext("a part is in the encoding %(encoding)s") % {"encoding": quoted(encoding[:40])})


def _key(path: str) -> str:
    return path.replace("\\", "/").lstrip("/")
