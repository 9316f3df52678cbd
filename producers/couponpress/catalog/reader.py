"""A catalog as a whole: opened, its header understood, its rows one after the other in constant memory.

Decides which reader a format has, and what is told about the catalog beside its rows. Refuses to know what becomes
of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from couponpress.catalog.columns import Plan, plan_of
from couponpress.catalog.csv_records import BadText, records
from couponpress.catalog.json_lines import JsonLines
from couponpress.catalog.own_pictures import OwnPictures
from couponpress.catalog.rows import BrokenRow, Row
from couponpress.catalog.source import Source, not_utf8, unreadable
from couponpress.catalog.table import Table
from couponpress.errors import CatalogError


class Catalog:
    """An open catalog; iterate it once, close it or use it as a context.

    Attributes:
        name: what to call it in messages.
        path: the file, or None for standard input and streams.
        format: `csv` or `jsonl`.
        bom: whether it begins with a byte-order mark.
        header: the columns of a CSV catalog as they stand; empty for JSONL.
        unused_columns: columns that are not sent.
        notes: what was noted while iterating, and for how many rows.
        good: how many good rows were given so far.
        broken: how many broken ones.
    """

    def __init__(self, source: Source, *, strict: bool, row_prefix: str, pictures: OwnPictures | None = None) -> None:
        self._source = source
        of_catalog = pictures.of_catalog(source.path.parent if source.path else Path()) if pictures else None
        self.name, self.path, self.format, self.bom = source.name, source.path, source.format, source.bom
        self.notes: Counter[str] = Counter()
        self.good = self.broken = 0
        self._last_line = 0
        plan = Plan((), {}, {}, ())
        if source.format == "csv":
            found = records(source.lines)
            plan = self._plan(found)
            self._rows = _table_rows(found, Table(plan, strict=strict, row_prefix=row_prefix, pictures=of_catalog))
        else:
            self._rows = JsonLines(strict=strict, row_prefix=row_prefix, pictures=of_catalog).rows(source.lines)
        self.header, self.unused_columns = plan.header, plan.unused

    def __iter__(self) -> Iterator[Row | BrokenRow]:
        """Give every row in its order.

        Raises:
            CatalogError: the text cannot be read on; what was given so far should not be submitted.
        """
        notes = self.notes
        try:
            for row in self._rows:
                self._last_line = row.line
                if isinstance(row, Row):
                    self.good += 1
                    for note in row.notes:
                        notes[note] += 1
                else:
                    self.broken += 1
                yield row
        except UnicodeDecodeError:
            raise not_utf8(self.name, self._last_line) from None
        except OSError as error:
            raise unreadable(self.name, error) from None
        if not self._last_line and self.format == "jsonl":
            raise CatalogError(f"{self.name} is empty.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input and streams stay open."""
        self._source.close()

    def _plan(self, found: Iterator[tuple[int, list[str] | BadText]]) -> Plan:
        try:
            line, header = next(found)
        except StopIteration:
            raise CatalogError(f"{self.name} is empty.") from None
        except UnicodeDecodeError:
            raise not_utf8(self.name, 0) from None
        except OSError as error:
            raise unreadable(self.name, error) from None
        if isinstance(header, BadText):
            raise CatalogError(f"{self.name}: the header {header.rule}.")
        self._last_line = line
        return plan_of(header, self.name)


def read(
    origin: str | Path | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002
    strict: bool = False,
    row_prefix: str = "",
    pictures: OwnPictures | None = None,
) -> Catalog:
    """Open a catalog and understand its header.

    Args:
        origin: a path, `-` for standard input, or a binary stream.
        format: `csv` or `jsonl`; without it the suffix decides.
        strict: refuse a row for what is otherwise left out and noted.
        row_prefix: what a row's line number is prefixed with to become its id, when the row brings none of its own;
            see `row_prefixes`.
        pictures: what becomes of pictures that are not at the platform yet; without it their rows are broken.

    Raises:
        CatalogError: it cannot be read as a whole: missing, empty, not UTF-8, of no known format, no usable header.
    """
    source = Source(origin, format)
    try:
        return Catalog(source, strict=strict, row_prefix=row_prefix, pictures=pictures)
    except BaseException:
        source.close()
        raise


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


def _table_rows(found: Iterator[tuple[int, list[str] | BadText]], table: Table) -> Iterator[Row | BrokenRow]:
    for line, cells in found:
        yield table.broken(line, *cells) if isinstance(cells, BadText) else table.row(line, cells)
