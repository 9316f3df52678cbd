"""A catalog as a whole: it is opened, its header is understood, and its rows come one by one in constant memory.

What cannot be read as a whole raises a CatalogError with one sentence; what is wrong with a single row makes a
BrokenRow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import starmap
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from couponpress.catalog.columns import Plan, known_names, plan_of
from couponpress.catalog.csv_records import (
    BadText,
    IsRow,
    opened,
    records,
    row_test,
)
from couponpress.catalog.duplicate_ids import DuplicateIds
from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.catalog.header_row import find_header
from couponpress.catalog.json_lines import JsonLines
from couponpress.catalog.merchant_pictures import MerchantPictures
from couponpress.catalog.rows import ADDED, BrokenRow, Row
from couponpress.catalog.source import Source, undecodable, unreadable
from couponpress.catalog.summary import Summary
from couponpress.catalog.table import Table
from couponpress.catalog.workbook import Sheet, open_sheet
from couponpress.catalog.workbook_cells import SheetRows, header_of
from couponpress.errors import CatalogError
from couponpress.language import gettext, joined, quoted

#: A refusal names so many sheets that were not read.
_NAMED_SHEETS = 8


class Catalog:
    """An open catalog; iterate it once, close it or use it as a context.

    Attributes:
        name: what to call it in messages.
        path: the file, or None for standard input and streams.
        format: `csv`, `jsonl` or `xlsx`.
        bom: whether it begins with a byte-order mark.
        delimiter: what separates the cells of a CSV catalog.
        sheet: the name of a workbook's sheet.
        summary: what a person is told once about it.
        header: the columns of a table as they stand; empty for JSONL.
        unused_columns: columns that are not sent.
        ids_at: the columns, from 0, of the row id and the task id; None for one that the table does not have.
        notes: what was noted while iterating, and for how many rows.
        good: how many good rows were given so far.
        broken: how many broken ones.
        may_be_empty: whether it may have no row at all, as one of several sheets may.
    """

    def __init__(
        self,
        source: Source,
        *,
        strict: bool,
        row_prefix: str,
        pictures: MerchantPictures | None = None,
        sheet: str | None = None,
        headers: HeaderMapping | None = None,
        seen: DuplicateIds | None = None,
        empty: Collection[str] = (),
        header_row: int | None = None,
        skip_hidden: bool = False,
    ) -> None:
        self._source = source
        of_catalog = pictures.of_catalog(source.path.parent if source.path else Path()) if pictures else None
        self.path, self.format, self.bom = source.path, source.format, source.bom
        self.name = source.name
        if sheet is not None:
            self.name = gettext("%(name)s, sheet %(sheet)s") % {"name": source.name, "sheet": quoted(sheet)}
        self.notes: Counter[str] = Counter()
        self.good = self.broken = self._last_line = 0
        self.may_be_empty = False
        self.delimiter, self.sheet = ",", ""
        self._headers = headers or HeaderMapping()
        self._is_row: IsRow | None = None
        self._seen = seen
        self._header_row = header_row
        self._opened: Sheet | None = None

        def table_of(plan: Plan) -> Table:
            return Table(plan, strict=strict, row_prefix=row_prefix, pictures=of_catalog, empty=empty)

        plan = Plan((), {}, {}, ())
        if sheet is not None and source.format != "xlsx":
            told = gettext("%(name)s is no workbook and has no sheet %(sheet)s.")
            raise CatalogError(told % {"name": source.name, "sheet": quoted(sheet)})
        if headers is not None and source.format == "jsonl":
            told = gettext("%(name)s is JSONL, which has no columns to map; leave --map and --mapping out.")
            raise CatalogError(told % {"name": self.name})
        if source.format == "csv":
            found = self._records()
            plan = self._plan(found)
            self._is_row = row_test(len(plan.header), plan.position.get("brand_id"), self.delimiter)
            self._rows = table_of(plan).rows(found)
        elif source.format == "xlsx":
            self._opened = opened = open_sheet(source, sheet, skip_hidden=skip_hidden)
            self.sheet = opened.title
            in_sheet = opened.records()
            plan = self._plan((line, header_of(cells)) for line, cells, _ in in_sheet)
            opened.width = len(plan.header)
            self._rows = starmap(SheetRows(plan, table_of(plan)).row, in_sheet)
        else:
            self._rows = JsonLines(self.name, strict=strict, row_prefix=row_prefix, pictures=of_catalog).rows(
                source.lines
            )
        self.header, self.unused_columns, width = plan.header, plan.unused, len(plan.header)
        others = self._opened.others if self._opened else ()
        self.summary = Summary(None if source.format == "jsonl" else plan, self.sheet, others)
        if (hides := self._opened) is not None:
            columns = [(at, name) for name, at in plan.position.items() if at < width and name not in ADDED]
            self.summary.hidden_columns = [plan.column(name) for at, name in sorted(columns) if hides.is_hidden(at)]
        self._columns_of_ids = (plan.column("row_id"), plan.column("task_id"))
        at = [plan.position.get(name, width) for name in ("row_id", "task_id")]
        self.ids_at = [column if column < width else None for column in at]

    def __iter__(self) -> Iterator[Row | BrokenRow]:
        """Give every row in its order.

        Raises:
            CatalogError: the text cannot be read on; what was given so far should not be submitted.
        """
        notes = self.notes
        rows = self._rows
        if self._seen is not None:
            rows = self._seen.checked(rows, self.name, self._columns_of_ids, notes)
        try:
            for row in rows:
                self._last_line = row[0]
                if row.__class__ is Row:
                    if self.summary.offer is None:
                        self.summary.note(row)
                    self.good += 1
                    for note in row[3]:
                        notes[note] += 1
                else:
                    self.broken += 1
                yield row
        except UnicodeDecodeError as error:
            raise undecodable(self.name, error, self._source.lines.given + 1) from None
        except OSError as error:
            raise unreadable(self.name, error) from None
        if self._opened is not None:
            self.summary.skipped_rows = self._opened.skipped
        if not (self.good or self.broken or self.may_be_empty):
            raise self._without_rows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _without_rows(self) -> CatalogError:
        if self.format == "jsonl":
            return CatalogError(gettext("%(name)s is empty.") % {"name": self.name})
        if skipped := self.summary.skipped_rows:
            return CatalogError(
                gettext("%(name)s has only hidden rows (%(skipped)s), which --skip-hidden leaves out.")
                % {"name": self.name, "skipped": skipped}
            )
        return CatalogError(
            gettext("%(name)s has a header on line %(line)s and no row below it; nothing can be enqueued.%(sheets)s")
            % {"name": self.name, "line": self._last_line, "sheets": self._other_sheets()}
        )

    def _other_sheets(self) -> str:
        """Return the end of a sentence that names the sheets that are not read; empty if there are none."""
        others = self._opened.others if self._opened else ()
        if self._opened is None or not others:
            return ""
        return gettext(" It is the sheet %(sheet)s; --sheet names another: %(others)s.") % {
            "sheet": quoted(self._opened.title),
            "others": joined(others[:_NAMED_SHEETS], ", "),
        }

    def close(self) -> None:
        """Close the file; standard input and streams stay open."""
        self._source.close()

    @property
    def encoding(self) -> str:
        """The text's encoding; while nothing but ASCII was read, `utf-8`."""
        return self._source.lines.encoding or "utf-8"

    @property
    def bytes_read(self) -> int:
        """How much of it was read."""
        return self._source.bytes_read

    @property
    def size(self) -> int | None:
        """How many bytes there are to read, where that is known."""
        return self._source.size

    def _records(self) -> Iterator[tuple[int, list[str] | BadText]]:
        """Split the text into records, once its first line that is not blank has shown the delimiter."""
        self.delimiter, lines = opened(self._source.lines, self._is_known)
        yield from records(lines, self.delimiter, self._is_swallowed)

    def _is_swallowed(self, first: str, later: str) -> bool:
        return self._is_row is not None and self._is_row(first, later)

    def _is_known(self, name: str) -> bool:
        return known_names([name], self._headers) > 0

    def _plan(self, found: Iterator[tuple[int, list[str] | BadText]]) -> Plan:
        try:
            line, header = find_header(found, self.name, self._headers, self._header_row)
        except UnicodeDecodeError as error:
            raise undecodable(self.name, error, self._source.lines.given + 1) from None
        except OSError as error:
            raise unreadable(self.name, error) from None
        except CatalogError as error:
            raise self._with_sheets(error) from None
        self._last_line = line
        try:
            return plan_of(header, self.name, self._headers, line)
        except CatalogError as error:
            raise self._with_sheets(error) from None

    def _with_sheets(self, error: CatalogError) -> CatalogError:
        return CatalogError(f"{error}{self._other_sheets()}")


def read(
    origin: str | Path | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002
    encoding: str | None = None,
    sheet: str | None = None,
    headers: HeaderMapping | None = None,
    seen: DuplicateIds | None = None,
    strict: bool = False,
    row_prefix: str = "",
    pictures: MerchantPictures | None = None,
    empty: Collection[str] = (),
    header_row: int | None = None,
    skip_hidden: bool = False,
) -> Catalog:
    """Open a catalog and understand its header.

    Args:
        origin: a path, `-` for standard input, or a binary stream.
        format: `csv`, `jsonl` or `xlsx`; without it the suffix decides.
        encoding: `utf-8`, `gb18030`, `big5` or `utf-16`; without it the content of a table tells, and JSONL is UTF-8.
        sheet: which sheet of a workbook; without it the first that is not hidden.
        headers: a merchant's own headers of a table, fixed cells and words.
        seen: the rows of this and earlier catalogs; a row whose id is among them with another offer is broken.
        strict: refuse a row for what is otherwise left out and noted.
        row_prefix: what a row's line number is prefixed with to become its id, when the row brings none of its own;
            see `rows.row_prefixes`.
        pictures: what becomes of pictures that are not at the platform yet; without it their rows are broken.
        empty: texts such as NULL that count as an empty cell of a table.
        header_row: the line of a table's header; without it the header is looked for among the first lines.
        skip_hidden: leave out the hidden rows of a workbook.

    Raises:
        CatalogError: it cannot be read as a whole: missing, empty, in no known encoding or format, no usable header.
    """
    source = Source(origin, format, encoding)
    try:
        return Catalog(
            source,
            strict=strict,
            row_prefix=row_prefix,
            pictures=pictures,
            sheet=sheet,
            headers=headers,
            seen=seen,
            empty=empty,
            header_row=header_row,
            skip_hidden=skip_hidden,
        )
    except BaseException:
        source.close()
        raise
