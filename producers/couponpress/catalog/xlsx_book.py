"""What a workbook says about all of its sheets: their names and who is hidden, texts that cells share, number formats.

Shared texts are held in memory. `_x000D_` in a text stands for a letter and is read as that letter.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from couponpress.catalog.number_formats import BUILTIN
from couponpress.catalog.xlsx_package import RELATIONSHIPS, DamagedPartError, Package, main
from couponpress.errors import CatalogError
from couponpress.language import gettext, quoted

_ESCAPED: Final = re.compile(r"(?:_x[0-9A-Fa-f]{4}_)+")
_TRUE: Final = frozenset({"1", "true", "on"})
_SHEET: Final = frozenset(main("sheet"))
_PROPERTIES: Final = frozenset(main("workbookPr"))
_CALCULATION: Final = frozenset(main("calcPr"))
_FORMAT: Final = frozenset(main("numFmt"))
_STYLES: Final = frozenset(main("cellXfs"))
_STYLE: Final = frozenset(main("xf"))
_ITEM: Final = frozenset(main("si"))
_TEXT: Final = frozenset(main("t"))
_PHONETIC: Final = frozenset(main("rPh"))


class SheetEntry(NamedTuple):
    """A sheet as the workbook lists it.

    Attributes:
        name: its name.
        path: its part; empty if it has no cells, such as a chart.
        is_hidden: whether a person does not see it.
    """

    name: str
    path: str
    is_hidden: bool


class Book(NamedTuple):
    """What is known of a workbook before a sheet is read.

    Attributes:
        sheets: those with cells, in their order.
        strings: the texts that cells share.
        formats: a style's number, as text -> how a number is shown.
        starts_1904: whether days are counted from 1904.
        recalculates: whether a program asked Excel to calculate every formula at the next opening.
    """

    sheets: list[SheetEntry]
    strings: list[str]
    formats: dict[str, str]
    starts_1904: bool
    recalculates: bool


def is_true(text: str | None) -> bool:
    """Whether an attribute says yes."""
    return text is not None and text.strip().lower() in _TRUE


def unescaped(text: str) -> str:
    r"""Return a cell's text with `_xHHHH_` read as the letter of that number.

    >>> unescaped("120344_x000D_"), unescaped("_x005F_x000D_")
    ('120344\r', '_x000D_')
    """
    return _ESCAPED.sub(_letters, text) if "_x" in text else text


def _letters(found: re.Match[str]) -> str:
    codes = found[0][2:-1].split("__x")
    return b"".join(int(code, 16).to_bytes(2, "big") for code in codes).decode("utf-16-be", "replace")


def book_of(package: Package) -> Book:
    """Read everything of a workbook but its sheets.

    Raises:
        CatalogError: it is a file of another program, or has no sheet with cells.
        DamagedPartError, and others of `Package.parse`: it is damaged.
    """
    path = next((path for _, kind, path in package.relations("") if kind == "officeDocument"), "xl/workbook.xml")
    if not package.has(path) or not path.lower().endswith(".xml"):
        raise _other_file(package, path)
    relations = package.relations(path)
    part_of = {name: target for name, kind, target in relations if kind == "worksheet"}
    told: dict[str, dict[str, str]] = {}
    sheets: list[SheetEntry] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in _SHEET:
            relation = next((attributes[f"{one} id"] for one in RELATIONSHIPS if f"{one} id" in attributes), "")
            state = attributes.get("state", "visible")
            sheets.append(SheetEntry(attributes.get("name", ""), part_of.get(relation, ""), state != "visible"))
        elif name in _PROPERTIES or name in _CALCULATION:
            told[name.rpartition(" ")[2]] = attributes

    package.parse(path, start)
    with_cells = [one for one in sheets if one.path]
    if not with_cells:
        raise CatalogError(gettext("%(name)s has no sheet with cells.") % {"name": package.name})
    strings = next((target for _, kind, target in relations if kind == "sharedStrings"), None)
    styles = next((target for _, kind, target in relations if kind == "styles"), None)
    calculation = told.get("calcPr", {})
    return Book(
        with_cells,
        [] if strings is None else _strings(package, strings),
        {} if styles is None or not package.has(styles) else _formats(package, styles),
        is_true(told.get("workbookPr", {}).get("date1904")),
        is_true(calculation.get("fullCalcOnLoad")) or calculation.get("calcCompleted") in {"0", "false"},
    )


def _other_file(package: Package, path: str) -> CatalogError:
    if path.lower().endswith(".bin"):
        return CatalogError(
            gettext("%(name)s is a binary workbook (.xlsb); save it in Excel as .xlsx.") % {"name": package.name}
        )
    if package.has("content.xml"):
        return CatalogError(
            gettext("%(name)s is an OpenDocument file (.ods); save it as .xlsx.") % {"name": package.name}
        )
    if package.has("index/document.iwa"):
        return CatalogError(
            gettext("%(name)s is a document of Numbers; export it as Excel (.xlsx).") % {"name": package.name}
        )
    return CatalogError(
        gettext("%(name)s is a zip file that holds no workbook; give the .xlsx itself.") % {"name": package.name}
    )


class _Strings:
    """Collects the texts that cells share; the reading aid above a text (phonetic run) is no part of it."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._parts: list[str] = []
        self._is_text = self._is_phonetic = False

    def start(self, name: str, _: dict[str, str]) -> None:
        if name in _ITEM:
            self._parts.clear()
        elif name in _PHONETIC:
            self._is_phonetic = True
        elif name in _TEXT:
            self._is_text = not self._is_phonetic

    def end(self, name: str) -> None:
        if name in _TEXT:
            self._is_text = False
        elif name in _PHONETIC:
            self._is_phonetic = False
        elif name in _ITEM:
            self.found.append(unescaped("".join(self._parts)))

    def text(self, data: str) -> None:
        if self._is_text:
            self._parts.append(data)


def _strings(package: Package, path: str) -> list[str]:
    strings = _Strings()
    package.parse(path, strings.start, strings.end, strings.text, kind="texts")
    return strings.found


def _formats(package: Package, path: str) -> dict[str, str]:
    """Read which number format each style of a cell has."""
    own: dict[int, str] = {}
    of_style: list[int] = []
    inside = [False]

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in _FORMAT and "numFmtId" in attributes:
            own[_number(attributes["numFmtId"])] = attributes.get("formatCode", "General")
        elif name in _STYLES:
            inside[0] = True
        elif inside[0] and name in _STYLE:
            of_style.append(_number(attributes.get("numFmtId", "0")))

    def end(name: str) -> None:
        if name in _STYLES:
            inside[0] = False

    package.parse(path, start, end)
    return {str(at): own.get(one) or BUILTIN.get(one, "General") for at, one in enumerate(of_style)}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise DamagedPartError(gettext("a style has the number %(text)s") % {"text": quoted(text[:40])})
    return int(text)
