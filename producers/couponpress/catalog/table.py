"""A record of cells becomes a row: a spec, or a list of its problems.

A row uses the columns of its own type; what stands in another type's column is noted, or with strict refused. A row
that is spelled plainly is read in few steps (`plain_rows`); every other one is read cell by cell (`row_reading`), which
explains what is wrong.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Final

from couponpress.catalog.cells import CellError
from couponpress.catalog.columns import Plan
from couponpress.catalog.csv_records import BadText
from couponpress.catalog.ids import doubt_of, identifier, is_plain_id
from couponpress.catalog.merchant_pictures import PicturesOfCatalog
from couponpress.catalog.plain_rows import PlainRows
from couponpress.catalog.row_reading import RowReading
from couponpress.catalog.rows import LINE, BrokenRow, Row
from couponpress.catalog.vocabulary import as_in_file
from couponpress.errors import Problem, SpecError
from couponpress.language import gettext, joined
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec

#: Makes a row in two thirds of the time that its class takes.
_made: Final = tuple.__new__
#: A catalog has few brands.
_is_plain_brand: Final = lru_cache(maxsize=1024)(is_plain_id)
_ENDS_IN_DIGIT: Final = re.compile(r"\W*[0-9]+\s*").fullmatch
_BEGINS_WITH_DIGIT: Final = re.compile(r"\s*[0-9]").match


class Table:
    """Turns the records of one table into rows."""

    def __init__(
        self,
        plan: Plan,
        *,
        strict: bool,
        row_prefix: str,
        pictures: PicturesOfCatalog | None = None,
        empty: Collection[str] = (),
    ) -> None:
        """Prepare for the rows under a header; cells that hold one of `empty` and nothing else count as empty."""
        self._empty = frozenset(empty)
        if pictures is not None and "image_url" in plan.reader:
            plan = dataclasses.replace(plan, reader={**plan.reader, "image_url": pictures.url})
        self._plan = plan
        self._settled = pictures if pictures is not None and pictures.are_settled else None
        self._strict = strict
        self._row_prefix = row_prefix
        self._width = width = len(plan.header)
        # An absent column points at one empty cell that is put behind each row and its fixed cells.
        self._behind = [*plan.fixed, ""]
        absent = width + len(plan.fixed)
        at = [plan.position.get(field, absent) for field in ("row_id", "task_id", "brand_id", "image_url", LINE)]
        self._own_cells = itemgetter(*at)
        self._plain = PlainRows(plan, strict=strict, absent=absent, told=self._told)

    def rows(self, found: Iterable[tuple[int, list[str] | BadText]]) -> Iterator[Row | BrokenRow]:
        """Turn numbered records into rows."""
        row = self.row if self._empty else self._row
        for line, cells in found:
            yield row(line, cells) if cells.__class__ is list else self.broken(line, *cells)

    def row(self, line: int, cells: list[str]) -> Row | BrokenRow:
        """Turn one record into a row."""
        if self._empty and not self._empty.isdisjoint(map(str.strip, cells)):
            row = self._row(line, ["" if cell.strip() in self._empty else cell for cell in cells])
            return row._replace(source=cells) if isinstance(row, Row) else row._replace(given=cells)
        return self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | BrokenRow:
        padded = cells + self._behind
        if len(cells) != self._width:
            if any(cells[self._width :]) or (len(cells) > self._width and self._is_shifted(cells)):
                return self.broken(line, cells, self._too_wide(cells))
            padded = [*cells[: self._width], *[""] * (self._width - len(cells)), *self._behind]
        row_id, task_id, brand_id, image_url, first_line = map(str.strip, self._own_cells(padded))
        default_row_id = first_line or f"{self._row_prefix}{line}"
        problems: list[Problem] = []
        doubts: tuple[str, ...] = ()
        if not (is_plain_id(row_id) and _is_plain_brand(brand_id) and (not task_id or is_plain_id(task_id))):
            doubts = tuple(self._doubts(row_id, brand_id, task_id))
            row_id, brand_id, task_id = self._ids(row_id, brand_id, task_id, problems)
        if self._settled is not None:
            image_url = self._settled.url_at_once(image_url)
        own_task_id = task_id or None
        settled_row_id = row_id or (None if task_id else default_row_id)
        if not problems:
            checked = self._plain.checked(padded, brand_id, own_task_id, settled_row_id, image_url)
            if checked is not None:
                serialized_spec, notes = checked
                return _made(Row, (line, cells, serialized_spec, notes + doubts, default_row_id))
        own = {"brand_id": brand_id or None, "task_id": own_task_id, "row_id": settled_row_id}
        try:
            spec, notes = self._checked(own, padded)
        except SpecError as error:
            told = {problem.field for problem in problems}
            problems += [problem for problem in error.problems if problem.field not in told]
        if problems:
            return BrokenRow(line, default_row_id, cells, tuple(problems))
        return Row(line, cells, SerializedSpec.of(spec), notes + doubts, default_row_id)

    def broken(self, line: int, given: list[str] | str, rule: str) -> BrokenRow:
        """Return the broken row for a record that breaks a rule as a whole."""
        at = self._plan.position.get(LINE)
        first_line = given[at] if isinstance(given, list) and at is not None else ""
        return BrokenRow(line, first_line or f"{self._row_prefix}{line}", given, (Problem("row", rule),))

    def _ids(self, row_id: str, brand_id: str, task_id: str, problems: list[Problem]) -> Iterator[str]:
        """Give the ids that these cells hold; one that is refused is a problem and counts as absent."""
        for name, cell in (("row_id", row_id), ("brand_id", brand_id), ("task_id", task_id)):
            try:
                found = identifier(cell)
                # The platform's own ids have plain letters only; how wide they are written makes no difference.
                yield found if name == "row_id" else unicodedata.normalize("NFKC", found)
            except CellError as error:
                problems.append(Problem(self._plan.column(name), str(error), cell))
                yield ""

    def _doubts(self, row_id: str, brand_id: str, task_id: str) -> Iterator[str]:
        for name, cell in (("row_id", row_id), ("brand_id", brand_id), ("task_id", task_id)):
            if doubt := doubt_of(cell):
                yield f"{self._plan.column(name)}: {doubt}"

    def _is_shifted(self, cells: list[str]) -> bool:
        """Whether a comma within a number may have moved the cells of a row that is too long: 1,299 or 9,90."""
        return any(_ENDS_IN_DIGIT(one) and _BEGINS_WITH_DIGIT(next_) for one, next_ in pairwise(cells))

    def _too_wide(self, cells: list[str]) -> str:
        rule = gettext("has %(cells)s cells under a header of %(width)s columns") % {
            "cells": len(cells),
            "width": self._width,
        }
        quotes = gettext("a number with a comma needs quotes around it")
        return joined((rule, quotes), "; ") if self._is_shifted(cells) else rule

    def _checked(self, own: Mapping[str, str | None], cells: list[str]) -> tuple[TaskSpec, tuple[str, ...]]:
        """Read every cell that the row's type uses, and validate the whole request.

        Raises:
            SpecError: naming every broken rule, under the catalog's own column names.
        """
        plan = self._plan
        given = {name: cells[at].strip() for name, at in plan.position.items() if cells[at].strip()}
        reading = RowReading(plan, given)
        raw = {**own, **reading.request()}
        strays = reading.strays() if self._strict else reading.moved()
        problems = [*reading.problems, *(self._problem(name, rule, given[name]) for name, rule in strays)]
        try:
            spec, notes = TaskSpec.parse(raw, strict=self._strict)
        except SpecError as error:
            problems.extend(self._in_columns(error.problems, given, reading.unread))
        if problems:
            raise SpecError(tuple(problems))
        return spec, self._told(reading, notes)

    def _told(self, reading: RowReading, notes: Iterable[str]) -> tuple[str, ...]:
        """Return the notes of a row under the catalog's own column names: its strays, and those of the request."""
        not_sent = gettext("%(column)s: not sent, it %(rule)s")
        told = [not_sent % {"column": self._plan.column(name), "rule": rule} for name, rule in reading.strays()]
        for note in notes:
            path, _, text = note.partition(": ")
            told.append(self._problem(path.rpartition(".")[2], text).broken)
        return tuple(told)

    def _in_columns(self, problems: Iterable[Problem], given: Mapping[str, str], unread: set[str]) -> Iterator[Problem]:
        """Name the problems' columns and show the cells as they were given, not as they were read."""
        for problem in problems:
            name = problem.field.rpartition(".")[2]
            if name not in unread:
                value = None if problem.value is None else given.get(name, problem.value)
                yield self._problem(name, problem.rule, value)

    def _problem(self, field: str, rule: str, value: object = None) -> Problem:
        """Return a problem under the column's header, with the words that stand in such a column."""
        header = self._plan.column(field)
        return Problem(header, as_in_file(header, field, rule), value)
