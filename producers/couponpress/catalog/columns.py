"""A table's header becomes a plan: which column holds which field, and how its cells are read.

A merchant's own mapping goes before the vocabulary. A header that no row could be used with, and amounts of one row in
two units, are refused with a sentence that names the columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.catalog.rows import ADDED
from couponpress.catalog.vocabulary import CellReader, Meaning, folded, known, meaning_of, spellings
from couponpress.errors import CatalogError
from couponpress.language import gettext, gettext_noop, joined, quoted

#: Fields without which no head picture, or no cut-out, can be described.
_FOR_COMBINE: Final = ("scope", "type", "threshold")
_AMOUNTS: Final = ("discount_amount", "percent_off", "exchange_price")
_FOR_CUT_OUT: Final = ("image_url",)
MONEY_UNITS: Final[Mapping[str, str]] = {"yuan": gettext_noop("yuan (元)"), "cents": gettext_noop("cents (分)")}
#: The amounts of money of one row.
_MONEY: Final = ("threshold", "discount_amount", "exchange_price")
#: How many names of a header a sentence shows, and how many letters of each.
_SHOWN_NAMES: Final = 8
_SHOWN_LETTERS: Final = 20


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
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def column(self, field: str) -> str:
        """Return the header of a field's column; a field without a column is called by its own name."""
        at = self.position.get(field, len(self.header))
        return self.header[at].strip() if at < len(self.header) else field


def plan_of(header: Sequence[str], catalog: str, own: HeaderMapping | None = None, line: int = 1) -> Plan:
    """Understand a header on a line. `catalog` names the file in errors.

    Raises:
        CatalogError: two columns mean the same field, amounts are in two units, columns are missing without which no
            row can be used, or a mapping names a column that is not there.
    """
    own = own or HeaderMapping()
    mapped = _mapped(header, own, catalog)
    units: dict[str, str] = {}
    position: dict[str, int] = {}
    reader: dict[str, CellReader] = {}
    unused = []
    of_mapping = {meaning.field for meaning in mapped.values()}
    for index, name in enumerate(header):
        meaning = mapped.get(index) or meaning_of(name)
        if meaning and meaning.field in of_mapping and index not in mapped:
            meaning = None  # the mapping has said which column is meant
        field = name.strip() if name.strip() in ADDED else meaning.field if meaning else None
        if field is None:
            if name.strip():
                unused.append(name.strip())
            continue
        if field in position:
            raise CatalogError(
                gettext(
                    "%(catalog)s: the columns %(first)s and %(second)s both mean %(field)s; remove one of "
                    "them or give it another header."
                )
                % {
                    "catalog": catalog,
                    "first": quoted(header[position[field]].strip()),
                    "second": quoted(name.strip()),
                    "field": field,
                }
            )
        position[field] = index
        if meaning:
            reader[field] = meaning.read
            units[field] = meaning.unit
    for name in own.fixed:
        _fix(name, position, reader, header, catalog)
    units |= _fixed_units(own.fixed)
    for name, words in own.words.items():
        _translate(name, words, reader)
    plan = Plan(
        tuple(header),
        position,
        reader,
        tuple(unused),
        tuple(own.fixed.values()),
        {field: unit for field, unit in units.items() if unit},
    )
    _check_usable(plan, catalog, line)
    return plan


def missing_columns(header: Sequence[str], own: HeaderMapping) -> list[str]:
    """Return what a header lacks to be a usable one; empty if it is."""
    fields = {known(name).field for name in own.fixed}
    of_own = {folded(name): known(field).field for name, field in own.columns.items()}
    for name in header:
        if mine := of_own.get(folded(name)):
            fields.add(mine)
        elif meaning := meaning_of(name):
            fields.add(meaning.field)
    return _missing(fields)


def known_names(header: Sequence[str], own: HeaderMapping) -> int:
    """Return how many names of a header are known."""
    of_own = {folded(name) for name in own.columns}
    return sum(folded(name) in of_own or meaning_of(name) is not None for name in header)


def _fixed_units(fixed: Mapping[str, str]) -> dict[str, str]:
    """Return the units of fixed amounts; 0 is the same in every unit."""
    meanings = [(known(name), cell) for name, cell in fixed.items()]
    return {one.field: one.unit for one, cell in meanings if one.field not in _MONEY or one.read(cell) != 0}


def _check_usable(plan: Plan, catalog: str, line: int) -> None:
    """Refuse a header that lacks columns, and amounts of one row in two units: most likely one is meant otherwise.

    Raises:
        CatalogError: it is such a header.
    """
    if missing := _missing(plan.position):
        raise CatalogError(
            gettext(
                "%(catalog)s: line %(line)s (%(names)s) is no usable header; missing columns: "
                "%(missing)s. docs/catalog.md lists every header that is understood, --map names your "
                "own, and --header-row says which line it is."
            )
            % {"catalog": catalog, "line": line, "names": _in_short(plan.header), "missing": joined(missing, "; ")}
        )
    money = {name: plan.units[name] for name in _MONEY if name in plan.units}
    if len(set(money.values())) > 1:
        read = joined(
            gettext("%(column)s is read in %(unit)s")
            % {"column": quoted(plan.column(name)), "unit": gettext(MONEY_UNITS[unit])}
            for name, unit in money.items()
        )
        raise CatalogError(
            gettext(
                "%(catalog)s: the amounts of a row are in two units: %(read)s. Name each column by its "
                "unit, for example --map 'discount_amount=discount_yuan', and use one unit for all."
            )
            % {"catalog": catalog, "read": read}
        )


def _in_short(header: Sequence[str]) -> str:
    names = [" ".join(name.split())[:_SHOWN_LETTERS] for name in header if name.strip()]  # on one line
    more = (
        gettext(" and %(more)s more") % {"more": f"{len(names) - _SHOWN_NAMES:,}"} if len(names) > _SHOWN_NAMES else ""
    )
    return joined(names[:_SHOWN_NAMES]) + more


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
            raise CatalogError(
                gettext("%(catalog)s: %(name)s is mapped, and two columns have that name; rename one of them.")
                % {"catalog": catalog, "name": quoted(name)}
            )
        index = index_of.get(folded(name))
        if index is None:
            there = ", ".join([repr(one.strip()) for one in header if one.strip()][:20])
            raise CatalogError(
                gettext("%(catalog)s: the mapping names a column %(name)s, which is not there; there are %(there)s.")
                % {"catalog": catalog, "name": quoted(name), "there": there}
            )
        mapped[index] = known(field)
    return mapped


def _fix(
    name: str, position: dict[str, int], reader: dict[str, CellReader], header: Sequence[str], catalog: str
) -> None:
    meaning = known(name)
    at = position.get(meaning.field)
    if at is not None:
        what = (
            gettext("the column %(name)s") % {"name": quoted(header[at].strip())}
            if at < len(header)
            else gettext("another fixed value")
        )
        raise CatalogError(
            gettext("%(catalog)s: %(what)s means %(field)s, which the mapping fixes; remove one of the two.")
            % {"catalog": catalog, "what": what, "field": meaning.field}
        )
    position[meaning.field] = len(header) + sum(one >= len(header) for one in position.values())
    reader[meaning.field] = meaning.read


def _translate(name: str, words: Mapping[str, str], reader: dict[str, CellReader]) -> None:
    field = known(name).field
    if field in reader:
        by_word = {folded(word): cell for word, cell in words.items()}
        reader[field] = partial(_read_word, by_word, reader[field])


def _read_word(by_word: Mapping[str, str], read: CellReader, text: str) -> str | int:
    return read(by_word.get(folded(text), text))


def _missing(fields: Container[str]) -> list[str]:
    missing = [] if "brand_id" in fields else [spellings("brand_id")]
    combine = [spellings(field) for field in _FOR_COMBINE if field not in fields]
    if not any(field in fields for field in _AMOUNTS):
        combine.append(gettext("one of %(amounts)s") % {"amounts": joined(spellings(field) for field in _AMOUNTS)})
    if combine and not all(field in fields for field in _FOR_CUT_OUT):
        missing.append(
            gettext("for head pictures %(combine)s, or for cut-outs %(picture)s")
            % {"combine": joined(combine, ", "), "picture": spellings(_FOR_CUT_OUT[0])}
        )
    return missing
