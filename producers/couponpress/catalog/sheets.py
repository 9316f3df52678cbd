"""`--sheet all`: the visible sheets of a workbook are read one after the other, each as a catalog of its own.

A sheet in which nothing looks like a header, such as one of notes, is not read, and is named. The rows of a sheet are
known by `SHEET:LINE`, so that the lines of two sheets do not meet in one run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from couponpress.catalog.columns import known_names
from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.catalog.header_row import SEARCHED
from couponpress.catalog.rows import row_prefixes
from couponpress.catalog.source import FORMATS, Source
from couponpress.catalog.workbook import Sheet, open_sheet
from couponpress.catalog.workbook_cells import header_of
from couponpress.errors import CatalogError
from couponpress.language import gettext, quoted

ALL: Final = "all"
#: So many known names in one row look like a header.
_LOOKS_LIKE_HEADER: Final = 2


class Part(NamedTuple):
    """What is read as one catalog.

    Attributes:
        name: the file, or `-`.
        sheet: the sheet to read; None for the first visible one, or for no workbook.
        row_prefix: as `read` takes it.
        is_sheet: whether it is one of several sheets that are read.
        unread: the sheets that are not read although all were asked for.
    """

    name: str
    sheet: str | None
    row_prefix: str
    is_sheet: bool = False
    unread: tuple[str, ...] = ()


def parts_of(
    files: Sequence[str],
    sheet: str | None,
    *,
    format_name: str | None = None,
    headers: HeaderMapping | None = None,
) -> list[Part]:
    """Return what is read as one catalog each: files, or with `all` the sheets of files.

    Raises:
        CatalogError: a workbook cannot be opened, or two of its sheets have one name.
    """
    parts: list[Part] = []
    for name, prefix in zip(files, row_prefixes(files), strict=True):
        suffix = FORMATS.get(Path(name).suffix.lower())
        if sheet == ALL and name != "-" and (format_name or suffix) == "xlsx":
            parts += _sheets_of(name, prefix, headers or HeaderMapping())
        else:
            parts.append(Part(name, sheet, prefix))
    return parts


def _sheets_of(name: str, prefix: str, headers: HeaderMapping) -> Iterator[Part]:
    with closing(Source(name, "xlsx")) as source:
        first = open_sheet(source, None, skip_hidden=False)
        if ALL in first.titles:  # a sheet of this name goes before
            yield Part(name, ALL, prefix)
            return
        if twice := [title for title, count in Counter(first.titles).items() if count > 1]:
            raise CatalogError(
                gettext("%(name)s has two sheets of the name %(sheet)s; give one another name.")
                % {"name": name, "sheet": quoted(twice[0])}
            )
        read = [
            title
            for title in first.visible
            if _has_header(first if title == first.title else open_sheet(source, title, skip_hidden=False), headers)
        ]
    if not read:  # the refusal shows its likeliest line
        yield Part(name, None, prefix)
        return
    unread = tuple(
        title if title in first.visible else gettext("%(title)s (hidden)") % {"title": title}
        for title in first.titles
        if title not in read
    )
    for number, title in enumerate(read):
        yield Part(name, title, f"{prefix}{title}:", True, () if number else unread)


def _has_header(sheet: Sheet, headers: HeaderMapping) -> bool:
    return any(
        known_names(header_of(cells), headers) >= _LOOKS_LIKE_HEADER
        for _, cells, _ in islice(sheet.records(), SEARCHED)
    )
