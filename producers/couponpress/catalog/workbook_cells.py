"""A cell of a workbook becomes the text that a person would have typed, or is refused when Excel has changed it.

Pure. Decides what a number means under its format and which numbers can no longer be trusted: Excel keeps 15 digits,
and sums leave noise behind them. Refuses to know workbooks and columns' rules; `cells` reads the text on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from couponpress.catalog.cells import CellError
from couponpress.catalog.columns import Plan
from couponpress.catalog.rows import LINE, PROBLEM, BrokenRow, Row, SheetCell
from couponpress.catalog.table import Table
from couponpress.errors import Problem

#: Stands for the result of a formula that no program has calculated.
NOT_CALCULATED: Final = "not calculated"

_IDS: Final = frozenset({"row_id", "task_id", "brand_id", LINE})
_CURE: Final = "format the column as text and write it again"
#: Amounts have two decimals, so that the digits that are left before the point are fewer.
_TOO_LONG: Final = 1e15
_TOO_LONG_WITH_DECIMALS: Final = 1e13
_LITERAL: Final = re.compile(r'"([^"]*)"|[\\!](.)')
#: What shows nothing or only colours: [Red], _ and * with the letter whose width they take.
_UNSEEN: Final = re.compile(r"\[[^\]]*\]|[_*].")
#: In a format, such letters stand for a factor that the number itself does not have.
_FACTORS: Final = frozenset("十百千万亿kKmM")


class SheetRows:
    """Turns the records of one sheet into rows."""

    def __init__(self, plan: Plan, table: Table) -> None:
        self._plan = plan
        self._table = table
        self._width = len(plan.header)
        self._used = [(at, name) for name, at in plan.position.items() if name != PROBLEM and at < self._width]

    def row(self, line: int, cells: tuple[SheetCell, ...]) -> Row | BrokenRow:
        """Turn one record, as wide as the header, into a row."""
        texts = [""] * self._width
        problems = []
        for at, name in self._used:
            try:
                texts[at] = text_of(cells[at], is_id=name in _IDS)
            except CellError as error:
                problems.append(Problem(self._plan.column(name), str(error), shown(cells[at].value)))
        row = self._table.row(line, texts)
        if isinstance(row, Row) and not problems:
            return row._replace(given=cells)
        told = {problem.field for problem in problems}
        more = [one for one in row.problems if one.field not in told] if isinstance(row, BrokenRow) else []
        return BrokenRow(line, row.default_row_id, cells, (*problems, *more))


def header_of(cells: Sequence[SheetCell]) -> list[str]:
    """Return the names of columns; empty cells behind the last name are no columns."""
    names = ["" if cell.value is None else shown(cell.value) for cell in cells]
    while names and not names[-1].strip():
        names.pop()
    return names


def text_of(cell: SheetCell, *, is_id: bool) -> str:
    """Return what stands in a cell, as a person would type it.

    Raises:
        CellError: nothing that could be meant, or a number that is not the one that was typed.
    """
    value = cell.value
    if value is None:
        return ""
    if cell.is_error:
        if value == NOT_CALCULATED:
            raise CellError("holds a formula that was never calculated; open the workbook in Excel and save it again")
        raise CellError("holds a formula's error; mend the formula, or write the value itself")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _id_of(value, cell.number_format) if is_id else _number_of(value, cell.number_format)
    raise CellError(f"is a date or a time to Excel; {_CURE}")


def shown(value: object) -> str:
    """Return a stored value for a message to a person."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _number_of(value: float, number_format: str) -> str:
    exact = _exact(value)
    bare, literal = _format_of(number_format)
    if _FACTORS & set(literal):
        raise CellError("is shown as another number than it holds, by its format; write it without such a format")
    if "%" in bare:
        return f"{(exact * 100).normalize():f}%"
    unit = next((sign for sign in "折%" if sign in literal), "")
    return f"{exact:f}{unit}"


def _id_of(value: float, number_format: str) -> str:
    text = f"{_exact(value):f}"
    bare, literal = _format_of(number_format)
    if literal.strip() or "%" in bare:
        raise CellError(f"is shown with other letters than it holds, by its format; {_CURE}")
    # 000000 shows 1234 as 001234.
    return text.zfill(len(bare)) if bare and not bare.strip("0") else text


def _exact(value: float) -> Decimal:
    """Return the number that Excel shows, without the noise of binary fractions.

    Raises:
        CellError: it has more digits than Excel keeps, so that it may be another one than was typed.
    """
    whole = isinstance(value, int) or value.is_integer()
    if not math.isfinite(value) or abs(value) >= (_TOO_LONG if whole else _TOO_LONG_WITH_DECIMALS):
        raise CellError(f"has more digits than Excel keeps of a number, so that the last ones may be wrong; {_CURE}")
    return Decimal(value) if isinstance(value, int) else Decimal(f"{value:.15g}")


def _format_of(number_format: str) -> tuple[str, str]:
    """Return a format for positive numbers without its literal text, and that text."""
    visible = _UNSEEN.sub("", number_format)
    literal = "".join(quoted or escaped for quoted, escaped in _LITERAL.findall(visible))
    return _LITERAL.sub("", visible).partition(";")[0], literal
