"""What a workbook says about all of its sheets: their names, which are hidden, shared texts and formats."""

from __future__ import annotations

from typing import Final, NamedTuple

from couponpress.catalog.xlsx_package import RELATIONSHIPS, Package, main
from couponpress.catalog.xlsx_styles import NumberFormats, number_formats
from couponpress.catalog.xlsx_texts import is_true, shared_texts
from couponpress.errors import CatalogError
from couponpress.language import gettext

_SHEET: Final = frozenset(main("sheet"))
_PROPERTIES: Final = frozenset(main("workbookPr"))
_CALCULATION: Final = frozenset(main("calcPr"))


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
        formats: how numbers are shown.
        starts_1904: whether days are counted from 1904.
        recalculates: whether a program asked Excel to calculate every formula at the next opening.
    """

    sheets: list[SheetEntry]
    strings: list[str]
    formats: NumberFormats
    starts_1904: bool
    recalculates: bool


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
        [] if strings is None else shared_texts(package, strings),
        NumberFormats({}, {}) if styles is None or not package.has(styles) else number_formats(package, styles),
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
