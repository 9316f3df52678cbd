"""The number formats of a workbook's styles and of its conditional rules, and which styles strike a cell out."""

from __future__ import annotations

from typing import Final, NamedTuple

from couponpress.catalog.number_formats import BUILTIN
from couponpress.catalog.xlsx_package import DamagedPartError, Package, main
from couponpress.catalog.xlsx_texts import is_true
from couponpress.language import gettext, quoted

_OWN_FORMATS: Final = frozenset(main("numFmts"))
_FORMAT: Final = frozenset(main("numFmt"))
_NAMED_STYLES: Final = frozenset(main("cellStyleXfs"))
_STYLES: Final = frozenset(main("cellXfs"))
_STYLE: Final = frozenset(main("xf"))
_RULE_STYLES: Final = frozenset(main("dxfs"))
_RULE_STYLE: Final = frozenset(main("dxf"))
_FONTS: Final = frozenset(main("fonts"))
_FONT: Final = frozenset(main("font"))
_STRIKE: Final = frozenset(main("strike"))
_LISTS: Final = _FONTS | _OWN_FORMATS | _NAMED_STYLES | _STYLES | _RULE_STYLES


class NumberFormats(NamedTuple):
    """What a workbook's styles say of numbers, and which styles strike a cell out.

    Attributes:
        of_style: a style's number, as text -> how a number is shown.
        of_rule: the number of a conditional style, as text -> how a number is shown; only those that change it.
        struck_out: the numbers of the styles whose font draws a line through the whole cell, as text.
    """

    of_style: dict[str, str]
    of_rule: dict[str, str]
    struck_out: frozenset[str] = frozenset()


def number_formats(package: Package, path: str) -> NumberFormats:
    """Read the part with the styles.

    Raises:
        DamagedPartError, and others of `Package.parse`: it is damaged.
    """
    styles = _Styles()
    package.parse(path, styles.start, styles.end)
    of_style = {str(at): styles.shown_as(one) for at, one in enumerate(styles.of_cells)}
    struck_out = frozenset(str(at) for at, one in enumerate(styles.of_cells) if styles.is_struck_out(one))
    return NumberFormats(of_style, styles.of_rule, struck_out)


class _Style(NamedTuple):
    """A cell's style: the numbers of its format, its font and the named style below it; None where it says nothing."""

    number_format: int | None
    font: int | None
    parent: int


class _Styles:
    """The styles of a workbook while their XML is read."""

    def __init__(self) -> None:
        self.of_cells: list[_Style] = []
        self.of_rule: dict[str, str] = {}
        self._own: dict[int, str] = {}
        self._named: list[_Style] = []
        self._fonts = 0
        self._struck_fonts: set[int] = set()
        self._rules = 0
        self._list = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _LISTS:
            self._list = name
        elif self._list in _OWN_FORMATS and name in _FORMAT:
            self._own[_number(attributes.get("numFmtId", ""))] = attributes.get("formatCode", "General")
        elif self._list in _FONTS:
            self._take_font(name, attributes)
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

    def _take_font(self, name: str, attributes: dict[str, str]) -> None:
        if name in _FONT:
            self._fonts += 1
        elif name in _STRIKE and is_true(attributes.get("val", "1")):
            self._struck_fonts.add(self._fonts - 1)

    def _take_style(self, attributes: dict[str, str]) -> None:
        number_format, font = attributes.get("numFmtId"), attributes.get("fontId")
        style = _Style(
            None if number_format is None else _number(number_format),
            None if font is None else _number(font),
            _number(attributes.get("xfId", "0")),
        )
        if self._list in _NAMED_STYLES:
            self._named.append(style)
        elif self._list in _STYLES:
            self.of_cells.append(style)

    def shown_as(self, style: _Style) -> str:
        """Return how a style shows numbers; one that does not say it does as the named style below it."""
        number = style.number_format
        if number is None:
            number = self._below(style).number_format or 0
        return self._own.get(number) or BUILTIN.get(number, "General")

    def is_struck_out(self, style: _Style) -> bool:
        """Whether a style's font draws a line through the cell; one without a font has that of the style below it."""
        font = self._below(style).font if style.font is None else style.font
        return (font or 0) in self._struck_fonts

    def _below(self, style: _Style) -> _Style:
        return self._named[style.parent] if style.parent < len(self._named) else _Style(None, None, 0)


def shown_by(attributes: dict[str, str]) -> str:
    """Return the format that the element `numFmt` of a rule stands for; empty if it names none."""
    return attributes.get("formatCode") or BUILTIN.get(_number(attributes.get("numFmtId", "0")), "")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise DamagedPartError(gettext("a style has the number %(text)s") % {"text": quoted(text[:40])})
    return int(text)
