"""Finds the header of a table, which may have a title or notes above it.

Pure; serves CSV and workbooks. The first record is the header that has every column without which no row can be
used. Where there is none, the record with the most known names is taken, so that the refusal shows the likeliest line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from couponpress.catalog.columns import known_names, missing_columns
from couponpress.catalog.csv_records import BadText
from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.errors import CatalogError
from couponpress.language import gettext

#: Among so many records that are not empty the header is looked for.
SEARCHED: Final = 20

Header = tuple[int, Sequence[str]]


def find_header(
    records: Iterable[tuple[int, Sequence[str] | BadText]], catalog: str, own: HeaderMapping, wanted: int | None = None
) -> Header:
    """Return the header's line and names.

    Args:
        records: lines and cells, from the first on; no more of them are taken than are looked at.
        catalog: names the file in errors.
        own: a merchant's own headers.
        wanted: the line of the header, where a person has said it.

    Raises:
        CatalogError: there is no record, or none on the line `wanted`, or quotes do not match where the header is.
    """
    damaged: list[BadText] = []
    if wanted is not None:
        chosen = next((found for found in _up_to(records, wanted, damaged) if found[0] == wanted), None)
        if chosen is None:
            raise CatalogError(
                gettext("%(catalog)s has no record on line %(wanted)s, which --header-row names.")
                % {"catalog": catalog, "wanted": wanted}
            )
        return chosen
    likeliest, most = None, -1
    for found in islice(_up_to(records, None, damaged), SEARCHED):
        if not missing_columns(found[1], own):
            return found
        if (known := known_names(found[1], own)) > most:
            likeliest, most = found, known
    if damaged:
        raise CatalogError(gettext("%(catalog)s: the header %(rule)s.") % {"catalog": catalog, "rule": damaged[0].rule})
    if likeliest is None:
        raise CatalogError(gettext("%(catalog)s is empty.") % {"catalog": catalog})
    return likeliest


def _up_to(
    records: Iterable[tuple[int, Sequence[str] | BadText]], line: int | None, damaged: list[BadText]
) -> Iterator[Header]:
    """Give the records up to a line; puts those whose quotes do not match into `damaged`."""
    for at, cells in records:
        if isinstance(cells, BadText):
            damaged.append(cells)
        else:
            yield at, cells
        if line is not None and at >= line:
            return
