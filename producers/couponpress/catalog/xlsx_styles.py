"""The number formats of a workbook's styles, and those that rules of conditional formatting use."""

from __future__ import annotations

from typing import Final, NamedTuple

from couponpress.catalog.number_formats import BUILTIN
from couponpress.catalog.xlsx_package import DamagedPartError, Package, main
from couponpress.language import gettext, quoted

_OWN_FORMATS: Final = frozenset(main("numFmts"))
_FORMAT: Final = frozenset(main("numFmt"))
_NAMED_STYLES: Final = frozenset(main("cellStyleXfs"))
_STYLES: Final = frozenset(main("cellXfs"))
_STYLE: Final = frozenset(main("xf"))
_RULE_STYLES: Final = frozenset(main("dxfs"))
_RULE_STYLE: Final = frozenset(main("dxf"))
_LISTS: Final = _OWN_FORMATS | _NAMED_STYLES | _STYLES | _RULE_STYLES


class NumberFormats(NamedTuple):
    """What a workbook's styles say of numbers.

    Attributes:
        of_style: a style's number, as text -> how a number is shown.
        of_rule: the number of a conditional style, as text -> how a number is shown; only those that change it.
    """

    of_style: dict[str, str]
    of_rule: dict[str, str]


def number_formats(package: Package, path: str) -> NumberFormats:
    """Read the part with the styles.

    Raises:
        DamagedPartError, and others of `Package.parse`: it is damaged.
    """
    styles = _Styles()
    package.parse(path, styles.start, styles.end)
    of_style = {str(at): styles.shown_as(*one) for at, one in enumerate(styles.of_cells)}
    return NumberFormats(of_style, styles.of_rule)


class _Styles:
    """The styles of a workbook while their XML is read."""

    def __init__(self) -> None:
        self.of_cells: list[tuple[int | None, int]] = []
        self.of_rule: dict[str, str] = {}
        self._own: dict[int, str] = {}
        self._named: list[int] = []
        self._rules = 0
        self._list = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _LISTS:
            self._list = name
        elif self._list in _OWN_FORMATS and name in _FORMAT:
            self._own[_number(attributes.get("numFmtId", ""))] = attributes.get("formatCode", "General")
        elif self._list in _RULE_STYLES:
            self._take_rule(name, attributes)
        elif name in _STYLE:
            self._take_style(attributes)

    def end(self, name: str) -> None:
        if name in _LISTS:
            self._list = ""

    def _take_rule(self, name: str, attributes: dict[str, str]) -> None:
        if name in _RULE_STYLE:
            self._rules += 1
        elif name in _FORMAT and (shown := shown_by(attributes)):
            self.of_rule[str(self._rules - 1)] = shown

    def _take_style(self, attributes: dict[str, str]) -> None:
        number = attributes.get("numFmtId")
        if self._list in _NAMED_STYLES:
            self._named.append(_number(number or "0"))
        elif self._list in _STYLES:
            self.of_cells.append((None if number is None else _number(number), _number(attributes.get("xfId", "0"))))

    def shown_as(self, number: int | None, parent: int) -> str:
        """Return how a style shows numbers; one that does not say it does as the named style below it."""
        if number is None:
            number = self._named[parent] if parent < len(self._named) else 0
        return self._own.get(number) or BUILTIN.get(number, "General")


def shown_by(attributes: dict[str, str]) -> str:
    """Return the format that the element `numFmt` of a rule stands for; empty if it names none."""
    return attributes.get("formatCode") or BUILTIN.get(_number(attributes.get("numFmtId", "0")), "")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise DamagedPartError(gettext("a style has the number %(text)s") % {"text": quoted(text[:40])})
    return int(text)
