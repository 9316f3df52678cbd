"""Broken rows go back to the person who can mend them, in the catalog's own format, with the reason beside each.

The mended file can be submitted as it is: the added columns are ignored on reading, except that the line stays the
row's id. The file is written under another name beside its place and renamed when it is whole, so that a failure
leaves neither half a file nor an empty one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TextIO

from couponpress.catalog.json_lines import TEXT
from couponpress.catalog.reader import Catalog
from couponpress.catalog.rows import LINE, PROBLEM, BrokenRow, Given, SheetCell
from couponpress.errors import CatalogError, system_error
from couponpress.language import gettext, gettext_noop, joined


class AddedRows:
    """Rows of one catalog, in its format, with columns that are added in front; the file begins with the first row.

    Attributes:
        path: where it is, or would be; a file that is already there is written over at the end.
        written: how many rows it holds.
    """

    _called = gettext_noop("the file")

    def __init__(self, path: str | Path, catalog: Catalog, added: tuple[str, ...]) -> None:
        """Prepare a file for `catalog`, whose format, columns, encoding and delimiter it takes.

        A table in UTF-8 begins with a byte order mark, also where the catalog has none.

        Raises:
            CatalogError: the path is the catalog itself.
        """
        self.path = Path(path)
        self.written = 0
        self._catalog = catalog
        self._added = added
        self._rows: _Rows | None = None
        # What is no file, such as /dev/null, cannot be renamed to.
        whole = self.path.exists() and not self.path.is_file()
        self._unfinished = self.path if whole else self.path.with_name(f".{self.path.name}.part")
        if catalog.path and self.path.exists() and self.path.samefile(catalog.path):
            raise CatalogError(
                gettext("%(path)s is the catalog itself; give the file with its rows another name.")
                % {"path": self.path}
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def discard(self) -> None:
        """Give the unfinished file up; a file that was there before stays as it is."""
        if self._rows is None:
            return
        rows, self._rows = self._rows, None
        rows.abandon()
        if self._unfinished != self.path:
            self._unfinished.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish the file, if there is one, with the rows that it has.

        Raises:
            CatalogError: the file cannot be written.
        """
        if self._rows is None:
            return
        rows, self._rows = self._rows, None
        try:
            rows.close()
            if self._unfinished != self.path:
                self._unfinished.replace(self.path)
        except OSError as error:
            raise self._unwritable(error) from None
        finally:
            if self._unfinished != self.path:
                self._unfinished.unlink(missing_ok=True)

    def add(self, given: Given, cells: dict[str, str], bad: Collection[str] = ()) -> None:
        """Add a row as the catalog gave it, with the cells of the added columns; `bad` are headers of cells to colour.

        Raises:
            CatalogError: the file cannot be written.
        """
        try:
            if self._rows is None:
                self._rows = self._begun()
            self._rows.write(given, cells, bad)
        except OSError as error:
            raise self._unwritable(error) from None
        self.written += 1

    def _begun(self) -> _Rows:
        if self._catalog.format == "xlsx":
            return _SheetRows(self._unfinished, self._catalog, self._added)
        # Half a surrogate pair has no UTF-8; as a backslash escape it is what JSON itself would write.
        file = self._unfinished.open("w", encoding=self._catalog.encoding, errors="backslashreplace", newline="")
        if self._catalog.format == "csv":
            return _TableRows(file, self._catalog, self._added)
        return _JsonRows(file, self._catalog)

    def _unwritable(self, error: OSError) -> CatalogError:
        return CatalogError(
            gettext("%(called)s %(path)s cannot be written (%(reason)s); choose another place for it.")
            % {"called": gettext(self._called), "path": self.path, "reason": system_error(error)}
        )


class ErrorFile(AddedRows):
    """The broken rows of one catalog, one line each, with the reason."""

    _called = gettext_noop("the error file")

    def __init__(self, path: str | Path, catalog: Catalog) -> None:
        """Prepare an error file for `catalog`.

        Raises:
            CatalogError: the path is the catalog itself.
        """
        super().__init__(path, catalog, (LINE, PROBLEM))

    def write(self, row: BrokenRow) -> None:
        """Add a row, with every problem that it has.

        Raises:
            CatalogError: the file cannot be written.
        """
        reason = {LINE: row.default_row_id, PROBLEM: joined(map(str, row.problems), "; ")}
        self.add(row.given, reason, {problem.field for problem in row.problems})


class _Rows(Protocol):
    """How rows are written in one format. `added` holds the added columns' cells by their names."""

    def write(self, given: Given, added: dict[str, str], bad: Collection[str]) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _Columns:
    """Where the added columns stand: in front, or, in a catalog that is an error file itself, where they are."""

    def __init__(self, header: tuple[str, ...], added: tuple[str, ...]) -> None:
        names = [name.strip() for name in header]
        self.in_place = {name: names.index(name) for name in added if name in names}
        self.in_front = [name for name in added if name not in names]
        self.header = [*self.in_front, *header]


class _TableRows:
    def __init__(self, file: TextIO, catalog: Catalog, added: tuple[str, ...]) -> None:
        self._file = file
        self._delimiter = catalog.delimiter
        self._width = len(catalog.header)
        self._columns = _Columns(catalog.header, added)
        if catalog.bom or catalog.encoding == "utf-8":
            file.write("\ufeff")  # without it Excel and WPS do not take a table for UTF-8
        self._record(self._columns.header)

    def write(self, given: Given, added: dict[str, str], bad: Collection[str]) -> None:  # noqa: ARG002
        front = [added[name] for name in self._columns.in_front]
        if isinstance(given, list):
            cells = [*given, *[""] * (self._width - len(given))]
            for name, at in self._columns.in_place.items():
                cells[at] = added[name]
            self._record([*front, *cells])
            return
        # A line whose quotes do not match is given back as it was: only a person can say where they belong.
        if front:
            self._record(front, end=self._delimiter)
        self._file.write(f"{given}".rstrip("\r\n") + "\n")

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    def _record(self, cells: list[str], end: str = "\n") -> None:
        line = io.StringIO(newline="")
        # Only a cell that holds a letter of the writer's own line end is put in quotes; a lone CR needs them too.
        csv.writer(line, delimiter=self._delimiter, lineterminator="\r\n").writerow(cells)
        self._file.write(line.getvalue().removesuffix("\r\n") + end)


class _JsonRows:
    def __init__(self, file: TextIO, catalog: Catalog) -> None:
        self._file = file
        if catalog.bom:
            file.write("\ufeff")

    def write(self, given: Given, added: dict[str, str], bad: Collection[str]) -> None:  # noqa: ARG002
        content = given if isinstance(given, dict) else {TEXT: given}
        self._file.write(json.dumps({**added, **content}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


class _SheetRows:
    def __init__(self, path: Path, catalog: Catalog, added: tuple[str, ...]) -> None:
        from couponpress.catalog.error_workbook import ErrorWorkbook  # noqa: PLC0415 - not every catalog is one

        with path.open("ab"):
            pass  # a place that cannot be written is told before the first row
        self._columns = _Columns(catalog.header, added)
        self._book = ErrorWorkbook(path, catalog.sheet, self._columns.header)

    def write(self, given: Given, added: dict[str, str], bad: Collection[str]) -> None:
        told = {name: SheetCell(text, "@") for name, text in added.items()}
        cells = [cell for cell in given if isinstance(cell, SheetCell)]
        cells += [SheetCell()] * (len(self._columns.header) - len(self._columns.in_front) - len(cells))
        for name, at in self._columns.in_place.items():
            cells[at] = told[name]
        coloured = {at for at, name in enumerate(self._columns.header) if name.strip() in bad}
        self._book.append([*(told[name] for name in self._columns.in_front), *cells], coloured)

    def close(self) -> None:
        self._book.close()

    def abandon(self) -> None:
        self._book.abandon()
