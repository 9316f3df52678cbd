"""What comes out of a catalog: a row with its spec, or a row with its problems.

The names of the columns that couponpress adds to a catalog's own rows stand here too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

from couponpress.errors import Problem
from couponpress.language import gettext_noop
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec


class SheetCell(NamedTuple):
    """A cell of a workbook, as it is stored there.

    Attributes:
        value: text, a number, a truth value; None in an empty cell. A date is the number of its days since 1899-12-30.
        number_format: how Excel shows it.
        is_error: whether `value` is the error of a formula, such as #N/A.
        is_formula_zero: whether it is the result 0 of a formula, which some programs write without calculating it.
        conditional_formats: how Excel may show it instead, by rules of conditional formatting.
        is_struck_out: whether its font draws a line through all of it.
    """

    value: Any = None
    number_format: str = "General"
    is_error: bool = False
    is_formula_zero: bool = False
    conditional_formats: tuple[str, ...] = ()
    is_struck_out: bool = False


class MarkedText(str):
    """A text with letters that are struck out, raised or lowered: an old price beside the new one, or 10²."""

    __slots__ = ()


#: Stands for the result of a formula that no program has calculated.
NOT_CALCULATED: Final = gettext_noop("not calculated")

#: A row as the catalog gave it: the cells of a table or of a workbook, a JSON object, or text that is none of these.
Given: TypeAlias = list[str] | tuple[SheetCell, ...] | dict[str, Any] | str

#: What an error file adds. Read back, the line serves as the row's id, if the row has no other; the rest is ignored.
LINE: Final = "_line"
PROBLEM: Final = "_problem"
#: What `results --join` adds; on reading they are ignored.
RESULT: Final = ("_outcome", "_image_url", "_code", "_message")
#: Every column that couponpress adds.
ADDED: Final = frozenset({LINE, PROBLEM, *RESULT})


class Row(NamedTuple):
    """A row that can be submitted.

    Attributes:
        line: the physical line on which the row begins, from 1.
        source: the cells; of a row of JSON its object, or the line that holds it.
        serialized_spec: the request, with `row_id` set; a row with its own task_id and no row id goes by that.
        notes: sentences about what was left out or is doubtful; few different ones, so they can be counted.
        default_row_id: the id that the row has when it brings none of its own.
    """

    line: int
    source: Given
    serialized_spec: SerializedSpec
    notes: tuple[str, ...]
    default_row_id: str

    @property
    def given(self) -> Given:
        """The row as the catalog gave it."""
        source = self.source
        return cast(dict[str, Any], json.loads(source)) if isinstance(source, str) else source

    @property
    def spec(self) -> TaskSpec:
        """The request as a spec; reading it back takes longer than reading the row did."""
        return self.serialized_spec.spec()


class BrokenRow(NamedTuple):
    """A row that cannot be submitted.

    Attributes:
        line: the physical line on which the row begins, from 1.
        default_row_id: the id that the row has when it brings none of its own.
        given: the row as the catalog gave it.
        problems: every broken rule, under the catalog's own column names.
    """

    line: int
    default_row_id: str
    given: Given
    problems: tuple[Problem, ...]


def row_prefixes(origins: Sequence[str | Path]) -> list[str]:
    """Return a `row_prefix` for each of several catalogs, so that their line numbers do not meet in one run.

    One catalog needs none; several get their stem, or the whole path where two stems are the same.

    >>> row_prefixes(["may.csv"]), row_prefixes(["may.csv", "june.csv"])
    ([''], ['may:', 'june:'])
    """
    if len(origins) < 2:
        return [""] * len(origins)
    stems = Counter(Path(origin).stem for origin in origins)
    return [f"{Path(origin).stem if stems[Path(origin).stem] == 1 else origin}:" for origin in origins]
