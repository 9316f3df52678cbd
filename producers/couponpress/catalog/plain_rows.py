"""Reads the rows of a table that are spelled plainly, in a fifth of the time that reading cell by cell takes.

The words of a row (its kind, coupon type, scope, usage mode) decide which of its other cells are used. There are few
combinations of words, so what `RowReading` makes of each is kept. A row with something in a cell that its type does not
use, or with a cell or a request that is refused, gets no answer here: it is read cell by cell, which explains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from couponpress.catalog.cells import CellError
from couponpress.catalog.columns import Plan
from couponpress.catalog.row_reading import MONEY_FIELDS, OFFER_FIELDS, RULE_FIELDS, WORD_FIELDS, RowReading
from couponpress.catalog.vocabulary import CellReader
from couponpress.compiled_spec import Checked, SpecChecker
from couponpress.spec import PART_OF_TYPE, RULE_OF_TYPE

#: So many combinations of words are kept before all are forgotten; a catalog has few.
_REMEMBERED: Final = 1_000

#: Takes a row's reading and the notes of its request.
Told = Callable[[RowReading, Iterable[str]], tuple[str, ...]]
#: A field, its column, and how its cells are read.
_Cell = tuple[str, int, CellReader]


class _Shape(NamedTuple):
    """What a combination of words makes of a row.

    Attributes:
        request: the request without ids and amounts.
        part: the name of its one object.
        rule: the name of the object for the amounts within that; empty in a cut-out.
        amounts: the cells that belong into `rule`.
        others: the cells that belong into `part`.
        strays: gives the cells that must be empty.
        reading: the reading that showed this.
        notes: a request's own notes -> those of the row, under its column names.
    """

    request: dict[str, Any]
    part: str
    rule: str
    amounts: tuple[_Cell, ...]
    others: tuple[_Cell, ...]
    strays: Callable[[Sequence[str]], Iterable[str]]
    reading: RowReading
    notes: dict[tuple[str, ...], tuple[str, ...]]


class PlainRows:
    """Reads plain rows under one header."""

    def __init__(self, plan: Plan, *, strict: bool, absent: int, told: Told) -> None:
        """Prepare for rows.

        Args:
            plan: of the header.
            strict: refuse what is otherwise left out and noted.
            absent: the index of a cell that is always empty.
            told: gives a row's notes under its column names.
        """
        # Nothing happens to a picture while a combination is learnt.
        self._plan = dataclasses.replace(plan, reader={**plan.reader, "image_url": str})
        self._strict = strict
        self._told = told
        self._absent = absent
        self._checker = SpecChecker(strict=strict)
        self._names = [name for name in WORD_FIELDS if name in plan.position]
        self._words = itemgetter(*(plan.position[name] for name in self._names), absent, absent)
        self._shapes: dict[tuple[tuple[str, ...], bool], _Shape | None] = {}

    def checked(
        self, cells: Sequence[str], brand_id: str, task_id: str | None, row_id: str | None, image_url: str
    ) -> Checked | None:
        """Check and serialize the request of a row.

        Args:
            cells: all cells of the row, with the fixed ones and the one that is always empty.
            brand_id: the brand.
            task_id: the row's own.
            row_id: the row's own; None only when there is a task_id.
            image_url: the picture that is to be sent.

        Returns:
            The request as of `SpecChecker.of_fields`, or None when the row must be read cell by cell.
        """
        key = (self._words(cells), not image_url)
        try:
            shape = self._shapes[key]
        except KeyError:
            shape = self._learn(key, image_url)
        if shape is None or "".join(shape.strays(cells)).strip():
            return None
        try:
            part = _part(shape, cells, image_url)
        except CellError:
            return None
        raw = {**shape.request, "brand_id": brand_id, shape.part: part}
        if task_id is not None:
            raw["task_id"] = task_id
        if row_id is not None:
            raw["row_id"] = row_id
        checked = self._checker.of_fields(raw, "")
        if checked is None:
            return None
        spec, notes = checked
        told = shape.notes.get(notes)
        if told is None:
            told = shape.notes[notes] = self._told(shape.reading, notes)
        return spec, told

    def _learn(self, key: tuple[tuple[str, ...], bool], image_url: str) -> _Shape | None:
        if len(self._shapes) >= _REMEMBERED:
            self._shapes.clear()
        shape = self._shapes[key] = self._shape(key[0], image_url)
        return shape

    def _shape(self, words: tuple[str, ...], image_url: str) -> _Shape | None:
        given = {name: word.strip() for name, word in zip(self._names, words, strict=False) if word.strip()}
        if image_url:
            given["image_url"] = image_url
        plan, reading = self._plan, RowReading(self._plan, given)
        request = reading.request()
        if reading.problems or not reading.type:
            return None
        strays = [name for name in (*OFFER_FIELDS, "image_url") if name in plan.position and name not in reading.used]
        if not self._may_stay([name for name in strays if name in given], reading.used):
            return None
        rule = RULE_FIELDS.get(reading.type, ())
        cells = [(name, plan.position[name], plan.reader[name]) for name in reading.used if name in plan.position]
        return _Shape(
            request,
            PART_OF_TYPE[request["image_generation_type"]],
            RULE_OF_TYPE.get(reading.type, ""),
            tuple(cell for cell in cells if cell[0] in rule),
            tuple(cell for cell in cells if cell[0] not in rule and cell[0] not in WORD_FIELDS),
            itemgetter(*(plan.position[name] for name in strays if name not in given), self._absent, self._absent),
            reading,
            {},
        )

    def _may_stay(self, strays: Sequence[str], used: Collection[str]) -> bool:
        """Whether all that is left out of a row is a picture that no comma of an amount can have moved there."""
        if not strays:
            return True
        before = self._plan.position["image_url"] - 1
        amounts = [self._plan.position.get(name) for name in MONEY_FIELDS if name in used]
        return strays == ["image_url"] and not self._strict and before not in amounts


def _part(shape: _Shape, cells: Sequence[str], image_url: str) -> dict[str, Any]:
    """Return the object of a request that holds all but its ids and its kind.

    Raises:
        CellError: a cell cannot be read.
    """
    if not shape.rule:
        return {"image_url": image_url}
    part = {**shape.request[shape.part]}
    rule = part[shape.rule] = {}
    for name, at, read in shape.amounts:
        if cell := cells[at].strip():
            rule[name] = read(cell)
    for name, at, read in shape.others:
        if cell := cells[at].strip():
            part[name] = read(cell)
    return part
