"""A table's header becomes a plan: which column holds which field, and how its cells are read.

A merchant's own mapping goes before the vocabulary. A header that no row could be used with, and amounts of one row in
two units, are refused with a sentence that names the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.catalog.rows import LINE, PROBLEM
from couponpress.catalog.vocabulary import CellReader, Meaning, folded, known, meaning_of, spellings
from couponpress.errors import CatalogError

#: Fields without which no head picture, or no cut-out, can be described.
_FOR_COMBINE: Final = ("scope", "type", "threshold")
_AMOUNTS: Final = ("discount_amount", "percent_off", "exchange_price")
_FOR_CUT_OUT: Final = ("image_url",)


@dataclass(frozen=True)
class Plan:
    """How the rows of one table are read.

    Attributes:
        header: the header as the catalog has it.
        position: field -> its column's index; also of the `_line` column, if there is one. Behind the columns stand
            the fixed cells.
        reader: field -> how a cell of its column is read.
        unused: headers of columns that are not sent, in their order.
        fixed: the cells that every row has behind its own.
        units: field -> what its column counts in: `yuan`, `cents` or `percent`.
    """

    header: tuple[str, ...]
    position: Mapping[str, int]
    reader: Mapping[str, CellReader]
    unused: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    def column(self, field: str) -> str:
        """Return the header of a field's column; a field without a column is called by its own name."""
        at = self.position.get(field, len(self.header))
        return self.header[at].strip() if at < len(self.header) else field


def plan_of(header: Sequence[str], catalog: str, own: HeaderMapping | None = None) -> Plan:
    """Understand a header. `catalog` names the file in errors.

    Raises:
        CatalogError: two columns mean the same field, columns are missing without which no row can be used, or a
            mapping names a column that is not there.
    """
    own = own or HeaderMapping()
    mapped = _mapped(header, own, catalog)
    position: dict[str, int] = {}
    reader: dict[str, CellReader] = {}
    unused = []
    of_mapping = {meaning.field for meaning in mapped.values()}
    for index, name in enumerate(header):
        meaning = mapped.get(index) or meaning_of(name)
        if meaning and meaning.field in of_mapping and index not in mapped:
            meaning = None  # the mapping has said which column is meant
        field = name.strip() if name.strip() in {LINE, PROBLEM} else meaning.field if meaning else None
        if field is None:
            if name.strip():
                unused.append(name.strip())
            continue
        if field in position:
            raise CatalogError(
                f"{catalog}: the columns {header[position[field]].strip()!r} and {name.strip()!r} both mean {field}; "
                "remove one of them or give it another header."
            )
        position[field] = index
        if meaning:
            reader[field] = meaning.read
    for name in own.fixed:
        _fix(name, position, reader, header, catalog)
    for name, words in own.words.items():
        _translate(name, words, reader)
    _usable(position, catalog)
    return Plan(tuple(header), position, reader, tuple(unused), tuple(own.fixed.values()))


def _mapped(header: Sequence[str], own: HeaderMapping, catalog: str) -> dict[int, Meaning]:
    """Find the mapping's columns, by their index.

    Raises:
        CatalogError: one is not there.
    """
    index_of = {folded(name): index for index, name in reversed(list(enumerate(header)))}
    mapped: dict[int, Meaning] = {}
    names = [folded(name) for name in header]
    for name, field in own.columns.items():
        if names.count(folded(name)) > 1:
            raise CatalogError(f"{catalog}: {name!r} is mapped, and two columns have that name; rename one of them.")
        index = index_of.get(folded(name))
        if index is None:
            there = ", ".join([repr(one.strip()) for one in header if one.strip()][:20])
            raise CatalogError(
                f"{catalog}: the mapping names a column {name!r}, which is not there; there are {there}."
            )
        mapped[index] = known(field)
    return mapped


def _fix(
    name: str, position: dict[str, int], reader: dict[str, CellReader], header: Sequence[str], catalog: str
) -> None:
    meaning = known(name)
    at = position.get(meaning.field)
    if at is not None:
        what = f"the column {header[at].strip()!r}" if at < len(header) else "another fixed value"
        raise CatalogError(f"{catalog}: {what} means {meaning.field}, which the mapping fixes; remove one of the two.")
    position[meaning.field] = len(header) + sum(one >= len(header) for one in position.values())
    reader[meaning.field] = meaning.read


def _translate(name: str, words: Mapping[str, str], reader: dict[str, CellReader]) -> None:
    field = known(name).field
    if field in reader:
        by_word = {folded(word): cell for word, cell in words.items()}
        reader[field] = partial(_read_word, by_word, reader[field])


def _read_word(by_word: Mapping[str, str], read: CellReader, text: str) -> str | int:
    return read(by_word.get(folded(text), text))


def _usable(position: Mapping[str, int], catalog: str) -> None:
    missing = [] if "brand_id" in position else [spellings("brand_id")]
    combine = [spellings(field) for field in _FOR_COMBINE if field not in position]
    if not any(field in position for field in _AMOUNTS):
        combine.append("one of " + ", ".join(spellings(field) for field in _AMOUNTS))
    if combine and not all(field in position for field in _FOR_CUT_OUT):
        missing.append(f"for head pictures {', '.join(combine)}, or for cut-outs {spellings(_FOR_CUT_OUT[0])}")
    if missing:
        raise CatalogError(
            f"{catalog}: its first line is no usable header; missing columns: {'; '.join(missing)}. "
            "docs/catalog.md lists every header that is understood, and --map names your own."
        )
