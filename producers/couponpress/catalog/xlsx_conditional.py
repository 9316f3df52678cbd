"""Number formats that a sheet gives to cells under a condition, and the cells that they may change.

A rule of conditional formatting may show 19990 as 199.90 or as nothing. A rule that compares a cell with plain numbers
is evaluated; of any other rule nobody knows here whether it applies, so it counts as one that may. Rules that only
colour a cell are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import IO, Final, NamedTuple

from couponpress.catalog.rows import SheetCell
from couponpress.catalog.sheet_scanner import MOST_COLUMNS, column_of
from couponpress.catalog.xlsx_merged import Range
from couponpress.catalog.xlsx_package import DamagedPartError, blocks_of, fed, main, xml_parser
from couponpress.catalog.xlsx_styles import shown_by
from couponpress.language import gettext

_MOST_RANGES: Final = 20_000
#: Rules that newer versions of Excel keep behind the sheet, each with its format.
_X14: Final = "http://schemas.microsoft.com/office/spreadsheetml/2009/9/main"
_XM: Final = "http://schemas.microsoft.com/office/excel/2006/main"
_FORMATTING: Final = frozenset({*main("conditionalFormatting"), f"{_X14} conditionalFormatting"})
_RULE: Final = frozenset({*main("cfRule"), f"{_X14} cfRule"})
_FORMULA: Final = frozenset({*main("formula"), f"{_XM} f"})
_FORMAT: Final = frozenset(main("numFmt"))
_CELLS: Final = f"{_XM} sqref"
#: `B2`, `B2:C9`, `B:C` or `2:9`.
_CORNERS: Final = re.compile(r"\$?([A-Z]{1,3})?\$?([0-9]{1,8})?(?::\$?([A-Z]{1,3})?\$?([0-9]{1,8})?)?")
_NUMBER: Final = re.compile(r"\s*-?[0-9]{1,15}(?:\.[0-9]{1,15})?\s*")
_LAST_ROW: Final = 1 << 24


class FormatRule(NamedTuple):
    """A rule that may show cells in another number format.

    Attributes:
        ranges: the cells.
        number_format: how it shows them.
        operator: how it compares a cell with its bounds, such as `lessThan`; empty for any other rule.
        bounds: the numbers that it compares with.
    """

    ranges: tuple[Range, ...]
    number_format: str
    operator: str
    bounds: tuple[Decimal, ...]

    def may_apply(self, cell: SheetCell) -> bool:
        """Whether the rule may change how a cell is shown; an empty cell shows nothing."""
        value = cell.value
        if value is None:
            return False
        if not self.bounds or isinstance(value, bool) or not isinstance(value, int | float):
            return True
        number, low, high = Decimal(f"{value:.15g}"), min(self.bounds), max(self.bounds)
        held = {
            "lessThan": number < low,
            "lessThanOrEqual": number <= low,
            "equal": number == low,
            "notEqual": number != low,
            "greaterThanOrEqual": number >= low,
            "greaterThan": number > low,
            "between": low <= number <= high,
            "notBetween": not low <= number <= high,
        }
        return held.get(self.operator, True)


class FormatRules:
    """The rules of one sheet; rows are given in their order."""

    def __init__(self, rules: Iterable[FormatRule]) -> None:
        ranges = [(one, rule) for rule in rules for one in rule.ranges]
        self._later = sorted(ranges, key=lambda one: one[0][1], reverse=True)
        self._now: list[tuple[Range, FormatRule]] = []

    def applied(self, line: int, cells: list[SheetCell]) -> None:
        """Give the cells of a row, in place, the formats that they may have."""
        while self._later and self._later[-1][0][1] <= line:
            self._now.append(self._later.pop())
        if self._now:
            self._now = [one for one in self._now if one[0][3] >= line]
            for (left, _, right, _), rule in self._now:
                for at in range(left - 1, min(right, len(cells))):
                    cell = cells[at]
                    if rule.may_apply(cell) and rule.number_format not in cell.conditional_formats:
                        formats = (*cell.conditional_formats, rule.number_format)
                        cells[at] = cell._replace(conditional_formats=formats)


def format_rules(part: IO[bytes], formats: dict[str, str]) -> list[FormatRule]:
    """Return the rules of a sheet that change number formats. `formats` are those of the workbook, by their number.

    Raises:
        DamagedPartError: there are too many.
    """
    reader = _Reader(formats)
    parser = xml_parser()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    for _ in fed(parser, blocks_of(part)):
        pass
    return reader.found


class _Reader:
    """The rules of a sheet while its XML is read."""

    def __init__(self, formats: dict[str, str]) -> None:
        self._formats = formats
        self.found: list[FormatRule] = []
        self._ranges = 0
        self._rules: list[tuple[str, str, list[str]]] = []
        self._cells = self._format = self._operator = ""
        self._formulas: list[str] = []
        self._text: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _FORMATTING:
            self._cells = attributes.get("sqref", "")
            self._rules = []
        elif name in _RULE:
            self._format = self._formats.get(attributes.get("dxfId", ""), "")
            self._operator = attributes.get("operator", "") if attributes.get("type") == "cellIs" else ""
            self._formulas = []
        elif name in _FORMAT:
            self._format = shown_by(attributes)
        elif name in _FORMULA or name == _CELLS:
            self._text = []

    def end(self, name: str) -> None:
        if name in _FORMULA:
            self._formulas.append("".join(self._text or ()))
            self._text = None
        elif name == _CELLS:
            self._cells = "".join(self._text or ())
            self._text = None
        elif name in _RULE and self._format:
            self._rules.append((self._format, self._operator, self._formulas))
        elif name in _FORMATTING and self._rules:
            self._take()

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def _take(self) -> None:
        ranges = tuple(filter(None, map(_range, self._cells.split())))
        self._ranges += len(ranges) * len(self._rules)
        if self._ranges > _MOST_RANGES:
            raise DamagedPartError(
                gettext("more than %(most)s ranges have formats by condition") % {"most": _MOST_RANGES}
            )
        for number_format, operator, formulas in self._rules:
            plain = bool(operator) and all(_NUMBER.fullmatch(one) for one in formulas)
            bounds = tuple(map(Decimal, formulas)) if plain else ()
            self.found.append(FormatRule(ranges, number_format, operator, bounds))


def _range(text: str) -> Range | None:
    """Return a range of cells; None for what is none, such as #REF!, which no cell is under."""
    found = _CORNERS.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        return None
    left, top = column_of(found[1] or "A"), int(found[2] or 1)
    is_one_cell = ":" not in text
    right = column_of(found[3]) if found[3] else left if is_one_cell else MOST_COLUMNS - 1
    bottom = int(found[4]) if found[4] else top if is_one_cell else _LAST_ROW
    if left is None or right is None:
        return None
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    return left + 1, top, right + 1, bottom
