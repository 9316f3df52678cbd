"""A cell of a workbook becomes the text that a person would have typed, or is refused with the reason.

Pure. A number is taken as its format shows it: under a column of yuan a cell that shows cents, another currency,
thousands or a rounded number is refused, and so is an id whose format draws something else. Excel keeps 15 digits of a
number, so a longer one is refused as well.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from couponpress.catalog.cells import CellError
from couponpress.catalog.columns import MONEY_UNITS, Plan
from couponpress.catalog.number_formats import Section, of_number, of_text
from couponpress.catalog.rows import ADDED, LINE, NOT_CALCULATED, BrokenRow, MarkedText, Row, SheetCell
from couponpress.catalog.table import Table
from couponpress.errors import Problem
from couponpress.language import Language, current, gettext, gettext_noop, quoted

#: The note of a row that a person or a filter has hidden.
HIDDEN: Final = gettext_noop("the row is hidden in the workbook, and was taken; --skip-hidden leaves such rows out")

#: Excel keeps a picture that is placed in a cell as the error #VALUE!.
_NO_PICTURE: Final = gettext_noop(
    "holds a formula's error, or a picture inside of the cell, which is not read; save the picture as a file and write "
    "its name"
)
_CURE: Final = gettext_noop("format the column as text and write it again")
_PLAIN: Final = gettext_noop("format the cell as General")
_GENERAL: Final = "General"
#: Formats that change no text.
_AS_IT_STANDS: Final = frozenset({_GENERAL, "@"})
_PLAIN_TEXT: Final = gettext_noop("format the cell as text")
#: So many letters of a format are shown.
_SHOWN_FORMAT: Final = 40
#: Amounts have two decimals, so that the digits that are left before the point are fewer.
_TOO_LONG: Final = 1e15
_TOO_LONG_WITH_DECIMALS: Final = 1e13
#: What a format may show beside the digits without changing what an amount means, by the column's unit.
_SHOWN_WITH: Final[Mapping[str, re.Pattern[str]]] = {
    "yuan": re.compile("(?:满|减|立减)?(?:人民币|CNY|RMB)?(?:(?:CN)?¥)?(?:(?:元|圆)整?|块|人民币|CNY|RMB)?"),
    "cents": re.compile("(?:满|减|立减)?分?"),
    "percent": re.compile("(?:打?折|%(?:OFF)?)?"),
}
_UNIT_WORDS: Final[Mapping[str, str]] = {
    **MONEY_UNITS,
    "percent": gettext_noop("percent or 折"),
}
#: Makes a row in two thirds of the time that its class takes.
_made: Final = tuple.__new__
_EPOCH: Final = dt.datetime.fromisoformat("1899-12-30")
_LAST_DAY: Final = 2_958_465


class SheetRows:
    """Turns the records of one sheet into rows."""

    def __init__(self, plan: Plan, table: Table) -> None:
        self._plan = plan
        self._table = table
        self._width = len(plan.header)
        self._used = [
            (at, name, plan.units.get(name, ""))
            for name, at in plan.position.items()
            if (name == LINE or name not in ADDED) and at < self._width
        ]

    def row(self, line: int, cells: tuple[SheetCell, ...], is_hidden: bool = False) -> Row | BrokenRow:
        """Turn one record, as wide as the header, into a row."""
        texts = [""] * self._width
        problems, notes = [], []
        for at, name, unit in self._used:
            cell = cells[at]
            value, number_format, is_error, _, conditional_formats, is_struck_out = cell
            if value is None:
                continue
            kind, is_special = value.__class__, is_error or conditional_formats or is_struck_out
            if kind is str and number_format in _AS_IT_STANDS and not is_special:
                texts[at] = value
                continue
            try:
                is_plain = (kind is float or kind is int) and number_format == _GENERAL and not is_special
                texts[at] = _digits(value) if is_plain else text_of(cell, unit)
                if unit and cell.is_formula_zero:
                    notes.append(self._zero_note(name))
            except CellError as error:
                rule = gettext(_NO_PICTURE) if name == "image_url" and cell.is_error else str(error)
                problems.append(Problem(self._plan.column(name), rule, shown(cell)))
        row = self._table.row(line, texts)
        if row.__class__ is Row and not problems:
            if is_hidden:
                notes.append(gettext(HIDDEN))
            _, _, spec, of_row, default_row_id = row
            return _made(Row, (line, cells, spec, (*of_row, *notes) if notes else of_row, default_row_id))
        named = {problem.field for problem in problems}
        more = [one for one in row.problems if one.field not in named] if isinstance(row, BrokenRow) else []
        return BrokenRow(line, row.default_row_id, cells, (*problems, *more))

    def _zero_note(self, name: str) -> str:
        return gettext("%(column)s: the result of its formula is 0; check that the workbook was calculated") % {
            "column": self._plan.column(name)
        }


def header_of(cells: Sequence[SheetCell]) -> list[str]:
    """Return the names of columns; empty cells behind the last name are no columns."""
    names = ["" if cell.value is None else shown(cell) for cell in cells]
    while names and not names[-1].strip():
        names.pop()
    return names


def text_of(cell: SheetCell, unit: str = "") -> str:
    """Return what stands in a cell, as a person would type it.

    Args:
        cell: the cell.
        unit: `yuan`, `cents` or `percent` in a column of amounts; empty in a column of ids or words.

    Raises:
        CellError: nothing that could be meant, a number that is not the one that was typed, or one that its format
            shows as something else.
    """
    text = _text_in(cell, unit)
    for other in cell.conditional_formats:
        try:
            is_the_same = _text_in(cell._replace(number_format=other), unit) == text
        except CellError:
            is_the_same = False
        if not is_the_same:
            raise CellError(
                gettext(
                    "may be shown as something else by a rule of conditional formatting, with the format %(other)s; "
                    "take that rule away from the column, or let it change colours only"
                )
                % {"other": quoted(other[:_SHOWN_FORMAT])}
            )
    return text


def _text_in(cell: SheetCell, unit: str) -> str:
    """Return the text of a cell by its own format. Raises: see `text_of`."""
    value = cell.value
    if value is None:
        return ""
    if cell.is_struck_out:
        raise CellError(
            gettext(
                "is struck out: a line is drawn through the whole cell; clear that format if the value is meant, or "
                "take the row out"
            )
        )
    if isinstance(value, MarkedText):
        raise CellError(gettext("has letters that are struck out, raised or lowered; write only the text that counts"))
    if type(value) is str and not cell.is_error:
        if changed := _text_is_changed(cell.number_format, current()):
            raise CellError(changed)
        return value
    return _known_text(cell, unit)


@lru_cache(maxsize=4096)
def _text_is_changed(number_format: str, language: Language) -> str:  # noqa: ARG001 - the sentences are kept by it
    """Return what a format does to a text that it shows; empty if the text is shown as it stands."""
    section = of_text(number_format)
    if section is None:
        return ""
    if not section.is_text:
        return gettext("is shown as nothing, by its format; %(plain_text)s") % {"plain_text": gettext(_PLAIN_TEXT)}
    letters = section.literal.strip()
    return (
        gettext("is shown with %(letters)s by its format; write the whole text, or %(plain_text)s")
        % {"letters": quoted(letters), "plain_text": gettext(_PLAIN_TEXT)}
        if letters
        else ""
    )


def shown(cell: SheetCell) -> str:
    """Return a cell's value for a message to a person."""
    value = cell.value
    if cell.is_error and value == NOT_CALCULATED:
        return gettext(NOT_CALCULATED)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float) and _is_date(cell) and 0 <= value <= _LAST_DAY:
        moment = _EPOCH + dt.timedelta(days=value)
        return f"{moment:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_date(cell: SheetCell) -> bool:
    return of_number(cell.number_format, Decimal(cell.value)).is_date if math.isfinite(cell.value) else False


def _known_text(cell: SheetCell, unit: str) -> str:
    """Return the text of a cell that holds no text. Raises: see `text_of`."""
    value = cell.value
    if cell.is_error:
        if value == NOT_CALCULATED:
            raise CellError(
                gettext("holds a formula that was never calculated; open the workbook in Excel and save it again")
            )
        raise CellError(gettext("holds a formula's error; mend the formula, or write the value itself"))
    if isinstance(value, bool):
        raise CellError(
            gettext("is %(upper)s to Excel; %(cure)s") % {"upper": str(value).upper(), "cure": gettext(_CURE)}
        )
    if not isinstance(value, int | float):
        raise CellError(gettext("is a date or a time to Excel; %(cure)s") % {"cure": gettext(_CURE)})
    return _number_text(value, cell.number_format, unit)


def _digits(value: float) -> str:
    """Return the digits of a number that Excel shows as it pleases. Raises: see `_exact`."""
    if 0 < value < _TOO_LONG_WITH_DECIMALS and "e" not in (text := f"{value:.15g}"):
        return text
    return f"{_exact(value):f}"


@lru_cache(maxsize=4096, typed=True)
def _number_text(value: float, number_format: str, unit: str) -> str:
    """Return the text of a number; most numbers of a catalog are alike. Raises: see `text_of`."""
    if number_format == _GENERAL:
        return _digits(value)
    exact = _exact(value)
    section = of_number(number_format, exact)
    if section.is_date:
        raise CellError(gettext("is a date or a time to Excel; %(cure)s") % {"cure": gettext(_CURE)})
    return _amount_of(exact, section, unit) if unit else _id_of(exact, section)


def _amount_of(exact: Decimal, section: Section, unit: str) -> str:
    """Return an amount as it is shown. `unit` is that of the column.

    Raises:
        CellError: the cell shows another unit, another number, or nothing.
    """
    literal = "".join(unicodedata.normalize("NFKC", section.literal).split()).upper()
    if exact == 0 and section.hides_zero and literal.endswith("-"):
        literal = literal[:-1]  # the accountants' format shows a zero as a dash
    elif not section.shows_number or (exact == 0 and section.hides_zero):
        raise CellError(gettext("is shown as nothing, by its format; %(plain)s") % {"plain": gettext(_PLAIN)})
    if not _SHOWN_WITH[unit].fullmatch(literal):
        where = gettext(_UNIT_WORDS[unit])
        raise CellError(
            gettext("is shown with %(literal)s by its format, in a column of %(where)s; write it in that unit")
            % {"literal": quoted(literal), "where": where}
        )
    if section.is_scaled or section.is_power or section.is_redrawn or section.is_broken_up:
        raise CellError(
            gettext("is shown as another number than it holds, by its format; %(plain)s") % {"plain": gettext(_PLAIN)}
        )
    return _as_shown(exact, section, literal, unit)


def _as_shown(exact: Decimal, section: Section, literal: str, unit: str) -> str:
    if section.percent and unit != "percent":
        raise CellError(
            gettext("is shown as a percentage by its format, in a column of %(unit_words)s; %(plain)s")
            % {"unit_words": gettext(_UNIT_WORDS[unit]), "plain": gettext(_PLAIN)}
        )
    if section.percent > 1 or (section.percent and literal):
        raise CellError(
            gettext("is shown as another number than it holds, by its format; %(plain)s") % {"plain": gettext(_PLAIN)}
        )
    if unit == "cents" and "." in section.digits:
        raise CellError(
            gettext("is shown with decimals by its format, in a column of cents (分), so it may be yuan; %(plain)s")
            % {"plain": gettext(_PLAIN)}
        )
    exact *= 100**section.percent
    if section.digits and exact != round(exact, section.decimals):
        raise CellError(
            gettext("is shown rounded by its format, so it is another amount than it looks; write what is meant")
        )
    if section.percent:
        return f"{exact.normalize():f}%"
    return f"{exact:f}{'折' if '折' in literal else '%' if '%' in literal else ''}"


def _id_of(exact: Decimal, section: Section) -> str:
    digits = section.digits.replace(",", "")
    redrawn = section.percent or section.is_broken_up or section.is_scaled or section.is_redrawn
    if section.literal.strip() or redrawn or not section.shows_number:
        raise CellError(
            gettext("is shown with other letters than it holds, by its format; %(cure)s") % {"cure": gettext(_CURE)}
        )
    if digits and not section.is_power and exact != round(exact, section.decimals):
        raise CellError(gettext("is shown rounded by its format; %(cure)s") % {"cure": gettext(_CURE)})
    text = f"{exact:f}"
    # 000000 shows 1234 as 001234.
    places = digits.partition(".")[0]
    if places.count("0") > 1 and exact >= 0:
        # From the first 0 on every place is drawn, also those of # and ?.
        whole, point, fraction = text.partition(".")
        return f"{whole.zfill(len(places) - places.index('0'))}{point}{fraction}"
    return text


def _exact(value: float) -> Decimal:
    """Return the number that Excel shows, without the noise of binary fractions.

    Raises:
        CellError: it has more digits than Excel keeps, so that it may be another one than was typed.
    """
    whole = isinstance(value, int) or value.is_integer()
    if not math.isfinite(value) or abs(value) >= (_TOO_LONG if whole else _TOO_LONG_WITH_DECIMALS):
        raise CellError(
            gettext("has more digits than Excel keeps of a number, so that the last ones may be wrong; %(cure)s")
            % {"cure": gettext(_CURE)}
        )
    return Decimal(value) if isinstance(value, int) else Decimal(f"{value:.15g}") + 0  # a zero has no sign
