"""What a number format of Excel shows of a number: decimals, percent, letters beside the digits, a date.

Pure. A format is read once and remembered. `of_number` picks the section that Excel takes for a number; a format that
breaks Excel's own rules is read as literal letters, so that the caller refuses it. The rules are those of ECMA-376,
part 1, 18.8.30 and 18.8.31.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

#: Formats that a workbook names by number alone. 27 to 36 and 50 to 58 are dates in Chinese, Japanese and Korean Excel;
#: 5 to 8, 42 and 44 show the currency of the computer that opens the workbook, so that nobody knows which one is meant.
BUILTIN: Final[Mapping[int, str]] = {
    0: "General",
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    **dict.fromkeys((5, 6, 42), '"$"#,##0'),
    **dict.fromkeys((7, 8, 44), '"$"#,##0.00'),
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    **dict.fromkeys((14, *range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd"),
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    **dict.fromkeys((20, 32, 34, 55), "h:mm"),
    **dict.fromkeys((21, 33, 35, 56), "h:mm:ss"),
    22: "m/d/yy h:mm",
    37: "#,##0_);(#,##0)",
    38: "#,##0_);[Red](#,##0)",
    39: "#,##0.00_);(#,##0.00)",
    40: "#,##0.00_);[Red](#,##0.00)",
    41: "#,##0_)",
    43: "#,##0.00_)",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
    # Thai Excel's own; elsewhere they are not used.
    **dict.fromkeys((59, 61), "0"),
    **dict.fromkeys((60, 62), "0.00"),
    **dict.fromkeys((67, 68), "0.00%"),
    **dict.fromkeys((69, 70), "# ?/?"),
    **dict.fromkeys(range(71, 82), "yyyy-mm-dd"),
}

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|[\\!](?P<escaped>.)|_(?P<width>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General|G/通用格式)|(?P<power>E[+-])|(?P<clock>AM/PM|A/P|上午/下午)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION: Final = re.compile(r"\s*(<=|>=|<>|=|<|>)\s*(-?[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*")
_ELAPSED: Final = re.compile(r"h+|m+|s+", re.IGNORECASE)
_OF_DATE: Final = frozenset("ymdhsgabeYMDHSGABE")
#: A locale of Japan: its number behind other digits, or its name.
_JAPANESE: Final = re.compile(r"411\Z|\bja\b|-jp\b", re.IGNORECASE)
#: The longest format that Excel takes has 255 letters.
_LONGEST: Final = 1000


class Section(NamedTuple):
    """What one section of a format shows.

    Attributes:
        digits: the places of digits, their commas and their point, such as `#,##0.00`; empty without any.
        literal: every letter that is shown beside the digits, with the currency.
        percent: how many percent signs multiply the number by 100 each.
        is_general: whether the digits are shown as Excel pleases.
        is_date: whether a date or a time is shown.
        is_text: whether it is for text, which stands where the @ is.
        is_power: whether powers of ten are shown.
        is_redrawn: whether Chinese numerals or a fraction are shown.
        is_broken_up: whether letters or a second point stand between the digits.
        condition: operator and number that choose this section.
    """

    digits: str = ""
    literal: str = ""
    percent: int = 0
    is_general: bool = False
    is_date: bool = False
    is_text: bool = False
    is_power: bool = False
    is_redrawn: bool = False
    is_broken_up: bool = False
    condition: tuple[str, Decimal] | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether a comma behind the digits divides the number by 1000."""
        whole, _, fraction = self.digits.partition(".")
        return whole.endswith(",") or fraction.endswith(",")

    @property
    def decimals(self) -> int:
        """How many digits are shown behind the point."""
        return sum(one in "0#?" for one in self.digits.partition(".")[2])

    @property
    def shows_number(self) -> bool:
        """Whether there is a place for the number, such as a 0; else its letters are all that is seen."""
        return self.is_general or self.is_date or any(one in "0#?" for one in self.digits)

    @property
    def hides_zero(self) -> bool:
        """Whether no digit is drawn for the number 0, as # and ? do."""
        return not (self.is_general or self.is_date or "0" in self.digits)


@lru_cache(maxsize=4096)
def of_format(number_format: str) -> tuple[Section, ...]:
    """Read a format into its sections, at most four."""
    if len(number_format) > _LONGEST:
        return (Section(literal="?", is_broken_up=True),)
    sections = [_Reader()]
    for token in _TOKEN.finditer(number_format):
        if token["other"] == ";":
            sections.append(_Reader())
        else:
            sections[-1].take(token)
    return tuple(one.section() for one in sections[:4])


def of_number(number_format: str, value: Decimal) -> Section:
    """Return the section of a format that shows a number."""
    sections = of_format(number_format)
    # The fourth section, and any section with an @, is for text.
    for_numbers = sections[:3] if len(sections) > 1 else sections
    if any(one.condition for one in for_numbers):
        for one in for_numbers:
            if one.condition is None or _holds(one.condition, value):
                return one
        return Section(literal="#")
    if value < 0 and len(for_numbers) > 1:
        return for_numbers[1]
    if value == 0 and len(for_numbers) > 2:
        return for_numbers[2]
    return for_numbers[0]


def of_text(number_format: str) -> Section | None:
    """Return the section of a format that shows a text; None if the text is shown as it is."""
    sections = of_format(number_format)
    return sections[3] if len(sections) > 3 else next((one for one in sections if one.is_text), None)


def _holds(condition: tuple[str, Decimal], value: Decimal) -> bool:
    operator, bound = condition
    return {
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
        "=": value == bound,
        "<>": value != bound,
    }[operator]


class _Reader:
    """One section while its tokens are read."""

    def __init__(self) -> None:
        self._digits = self._literal = ""
        self._percent = 0
        self._general = self._date = self._text = self._power = self._redrawn = self._broken_up = self._behind = False
        self._condition: tuple[str, Decimal] | None = None

    def take(self, token: re.Match[str]) -> None:
        if (bracket := token["bracket"]) is not None:
            self._take_bracket(bracket)
        elif token["general"]:
            self._general = True
        elif token["power"]:
            self._power = True
        elif token["clock"]:
            self._date = True
        elif token["width"] is None:
            self._take_text(token["quoted"] or token["escaped"] or token["fill"], token["other"])

    def _take_text(self, literal: str | None, other: str | None) -> None:
        if other is None:
            self._show(literal or "")
        elif other in "0#?.,":
            self._broken_up |= (self._behind and other not in ".,") or (other == "." and "." in self._digits)
            self._digits += other
        elif other == "%":
            self._percent += 1
            self._behind = bool(self._digits)
        elif other in _OF_DATE:
            self._date = True
        elif other == "@":
            self._general = self._text = True
        elif other == "/" and self._digits:
            self._redrawn = True
        else:
            self._show(other)

    def _show(self, text: str) -> None:
        self._literal += text
        if text and any(one in "0#?" for one in self._digits):
            self._behind = True

    def _take_bracket(self, inner: str) -> None:
        if inner.startswith("$"):
            symbol, _, locale = inner[1:].partition("-")
            self._show(symbol)
            # ¥ is the sign of the yen in Japan.
            if symbol in {"¥", "￥"} and _JAPANESE.search(locale):
                self._show("JPY")
        elif found := _CONDITION.fullmatch(inner):
            self._condition = found[1], Decimal(found[2])
        elif _ELAPSED.fullmatch(inner):
            self._date = True
        elif inner.lower().startswith("dbnum"):
            self._redrawn = True

    def section(self) -> Section:
        return Section(
            self._digits,
            self._literal,
            self._percent,
            self._general,
            self._date,
            self._text,
            self._power,
            self._redrawn,
            self._broken_up,
            self._condition,
        )
