"""A record of cells becomes a row: a spec, or a list of its problems.

A row uses the columns of its own type; what stands in another type's column is noted, or with strict refused. A
combination of offer cells that was found good once is not read again (see `offers`), which makes most rows quick;
every other row is read cell by cell.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

from couponpress.catalog.cells import CellError
from couponpress.catalog.columns import Plan
from couponpress.catalog.csv_records import BadText
from couponpress.catalog.ids import identifier, is_plain_id
from couponpress.catalog.merchant_pictures import PicturesOfCatalog
from couponpress.catalog.offers import Offers
from couponpress.catalog.rows import LINE, BrokenRow, Row
from couponpress.catalog.vocabulary import as_in_file
from couponpress.errors import Problem, SpecError
from couponpress.language import gettext, joined
from couponpress.spec import RULE_OF_TYPE, DiscountCoupon, ExchangeCoupon, NormalCoupon, TaskSpec

_RULE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "NORMAL": tuple(NormalCoupon.model_fields),
    "DISCOUNT": tuple(DiscountCoupon.model_fields),
    "EXCHANGE": tuple(ExchangeCoupon.model_fields),
}
_COMBINE_FIELDS: Final = ("scope", "type", "usage_mode", "background_color")
#: The cells that make an offer; everything of a head picture but its brand and ids.
_OFFER_FIELDS: Final = (*_COMBINE_FIELDS, *dict.fromkeys(name for names in _RULE_FIELDS.values() for name in names))
#: Makes a row in two thirds of the time that its class takes.
_made: Final = tuple.__new__
#: The halves of a number with a comma and no quotes.
_BEFORE_COMMA: Final = re.compile(r"[1-9][0-9]{0,2}").fullmatch
_BEHIND_COMMA: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,2})?").fullmatch
_MONEY_FIELDS: Final = ("threshold", "discount_amount", "exchange_price")
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
        offer = [plan.position[field] for field in ("image_generation_type", *_OFFER_FIELDS) if field in plan.position]
        self._offer_cells = itemgetter(*offer, absent, absent)
        self._offers = Offers()

    def rows(self, found: Iterable[tuple[int, list[str] | BadText]]) -> Iterator[Row | BrokenRow]:
        """Turn numbered records into rows."""
        for line, cells in found:
            yield self.broken(line, *cells) if isinstance(cells, BadText) else self.row(line, cells)

    def row(self, line: int, cells: list[str]) -> Row | BrokenRow:
        """Turn one record into a row."""
        if self._empty and not self._empty.isdisjoint(map(str.strip, cells)):
            row = self._row(line, ["" if cell.strip() in self._empty else cell for cell in cells])
            return row._replace(source=cells)
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
        if not (is_plain_id(row_id) and is_plain_id(brand_id) and is_plain_id(task_id)):
            row_id, brand_id, task_id = self._ids(row_id, brand_id, task_id, problems)
        if self._settled is not None:
            image_url = self._settled.url_at_once(image_url)
        own_task_id = task_id or None
        settled_row_id = row_id or (None if task_id else default_row_id)
        key = (self._offer_cells(padded), not image_url)
        known = self._offers.serialized(key, brand_id, own_task_id, settled_row_id, image_url)
        if known and not problems:
            return _made(Row, (line, cells, *known, default_row_id))
        own = {"brand_id": brand_id or None, "task_id": own_task_id, "row_id": settled_row_id}
        try:
            spec, notes = self._checked(own, padded)
        except SpecError as error:
            told = {problem.field for problem in problems}
            problems += [problem for problem in error.problems if problem.field not in told]
        if problems:
            return BrokenRow(line, default_row_id, cells, tuple(problems))
        return Row(line, cells, self._offers.learn(key, spec, notes), notes, default_row_id)

    def broken(self, line: int, given: list[str] | str, rule: str) -> BrokenRow:
        """Return the broken row for a record that breaks a rule as a whole."""
        at = self._plan.position.get(LINE)
        first_line = given[at] if isinstance(given, list) and at is not None else ""
        return BrokenRow(line, first_line or f"{self._row_prefix}{line}", given, (Problem("row", rule),))

    def _ids(self, row_id: str, brand_id: str, task_id: str, problems: list[Problem]) -> Iterator[str]:
        """Give the ids that these cells hold; one that is refused is a problem and counts as absent."""
        for name, cell in (("row_id", row_id), ("brand_id", brand_id), ("task_id", task_id)):
            try:
                yield identifier(cell)
            except CellError as error:
                problems.append(Problem(self._plan.column(name), str(error), cell))
                yield ""

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
        reading = _Reading(plan, given)
        raw = {**own, **reading.request()}
        strays = reading.strays() if self._strict else reading.moved()
        problems = [*reading.problems, *(self._problem(name, rule, given[name]) for name, rule in strays)]
        try:
            spec, notes = TaskSpec.parse(raw, strict=self._strict)
        except SpecError as error:
            problems.extend(self._in_columns(error.problems, given, reading.unread))
        if problems:
            raise SpecError(tuple(problems))
        not_sent = gettext("%(column)s: not sent, it %(rule)s")
        told = [not_sent % {"column": plan.column(name), "rule": rule} for name, rule in reading.strays()]
        for note in notes:
            path, _, text = note.partition(": ")
            told.append(self._problem(path.rpartition(".")[2], text).broken)
        return spec, tuple(told)

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


class _Reading:
    """One row on the slow way: which fields were used, and which cells could not be read."""

    def __init__(self, plan: Plan, given: Mapping[str, str]) -> None:
        self._plan = plan
        self._given = given
        self.problems: list[Problem] = []
        self.unread: set[str] = set()
        self._used: set[str] = set()
        self._type = ""

    def request(self) -> dict[str, Any]:
        """Return the request's nested form, without the ids."""
        kind = self._image_generation_type()
        raw: dict[str, Any] = {"image_generation_type": kind}
        if kind == "CUT_OUT":
            self._type = "CUT_OUT"
            raw["cut_out"] = self._take(("image_url",))
        elif kind == "COMBINE_IMAGE":
            raw["combine_image"] = combine = self._take(_COMBINE_FIELDS)
            if "usage_mode" not in self._plan.position:
                combine["usage_mode"] = "SINGLE"
            coupon_type = combine.get("type", "")
            if coupon_type in RULE_OF_TYPE:
                self._type = coupon_type
                combine[RULE_OF_TYPE[coupon_type]] = self._take(_RULE_FIELDS[coupon_type])
        return raw

    def strays(self) -> list[tuple[str, str]]:
        """Return the fields that belong to another type, each with the rule; none while no type is known."""
        if not self._type:
            return []
        rule = gettext("has no place in a %(type)s row") % {"type": self._type}
        rule = as_in_file(self._plan.column("type"), "type", rule)
        return [
            (name, rule) for name in (*_OFFER_FIELDS, "image_url") if name in self._given and name not in self._used
        ]

    def moved(self) -> list[tuple[str, str]]:
        """Return strays that a comma within the cell before them may have moved, as 299 of 1,299, each with the rule.

        A leftover of another type is seldom greater than the amount before it, and can be read.
        """
        rule = gettext("may be the end of a number with a comma, which needs quotes around it")
        fields = {at: name for name, at in self._plan.position.items() if name in self._used and name in _MONEY_FIELDS}
        before = {name: fields.get(self._plan.position[name] - 1, "") for name, _ in self.strays()}
        return [(name, rule) for name, other in before.items() if self._is_end_of(self._given.get(other, ""), name)]

    def _is_end_of(self, before: str, name: str) -> bool:
        if not _BEFORE_COMMA(before) or not _BEHIND_COMMA(behind := self._given[name]):
            return False
        if len(behind.partition(".")[0]) == 3 and (behind.startswith("0") or Decimal(behind) > Decimal(before)):
            return True
        try:
            self._plan.reader[name](behind)
        except CellError:
            return True  # 90 of 9,90 under 折扣, where a bare number says nothing
        return False

    def _image_generation_type(self) -> object:
        if "image_generation_type" in self._plan.position:
            return self._take(("image_generation_type",)).get("image_generation_type")
        only_a_picture = "image_url" in self._given and not any(name in self._given for name in _OFFER_FIELDS)
        return "CUT_OUT" if only_a_picture else "COMBINE_IMAGE"

    def _take(self, names: Iterable[str]) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for name in names:
            self._used.add(name)
            if name in self._given:
                try:
                    taken[name] = self._plan.reader[name](self._given[name])
                except CellError as error:
                    self.unread.add(name)
                    self.problems.append(Problem(self._plan.column(name), str(error), self._given[name]))
        return taken
