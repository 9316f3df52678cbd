"""Broken rows go back to the person who can mend them, in the catalog's own format, with the reason beside each.

Decides how a row and its problems are written so that the mended file can be submitted as it is: the added columns
are ignored on reading, except that the line stays the row's id. Refuses to know why a row is broken.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from couponpress.catalog.json_lines import TEXT
from couponpress.catalog.reader import Catalog
from couponpress.catalog.rows import LINE, PROBLEM, BrokenRow, SheetCell
from couponpress.errors import CatalogError

_ADDED: Final = (LINE, PROBLEM)


class ErrorFile:
    """The broken rows of one catalog, one line each; the file is created with the first of them.

    Attributes:
        path: where it is, or would be; a file that is already there is written over.
        written: how many rows it holds.
    """

    def __init__(self, path: str | Path, catalog: Catalog) -> None:
        """Prepare an error file for `catalog`, whose format, columns, encoding and delimiter it takes.

        Raises:
            CatalogError: the path is the catalog itself.
        """
        self.path = Path(path)
        self.written = 0
        self._catalog = catalog
        self._rows: _Rows | None = None
        if catalog.path and self.path.exists() and self.path.samefile(catalog.path):
            raise CatalogError(f"{self.path} is the catalog itself; give the error file another name.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Finish the file, if there is one.

        Raises:
            CatalogError: the file cannot be written.
        """
        try:
            if self._rows is not None:
                self._rows.close()
        except OSError as error:
            raise self._unwritable(error) from None

    def write(self, row: BrokenRow) -> None:
        """Add a row, with every problem that it has.

        Raises:
            CatalogError: the file cannot be written.
        """
        try:
            if self._rows is None:
                self._rows = self._begun()
            self._rows.write(row, {LINE: row.default_row_id, PROBLEM: "; ".join(map(str, row.problems))})
        except OSError as error:
            raise self._unwritable(error) from None
        self.written += 1

    def _begun(self) -> _Rows:
        if self._catalog.format == "xlsx":
            return _SheetRows(self.path, self._catalog)
        # Half a surrogate pair has no UTF-8; as a backslash escape it is what JSON itself would write.
        file = self.path.open("w", encoding=self._catalog.encoding, errors="backslashreplace", newline="")
        return (_TableRows if self._catalog.format == "csv" else _JsonRows)(file, self._catalog)

    def _unwritable(self, error: OSError) -> CatalogError:
        return CatalogError(
            f"the error file {self.path} cannot be written ({error.strerror}); choose another place for it."
        )


class _Rows(Protocol):
    """How broken rows are written in one format. `reason` holds the added columns' cells by their names."""

    def write(self, row: BrokenRow, reason: dict[str, str]) -> None: ...
    def close(self) -> None: ...


class _Columns:
    """Where the added columns stand: in front, or, in a catalog that is an error file itself, where they are."""

    def __init__(self, header: tuple[str, ...]) -> None:
        names = [name.strip() for name in header]
        self.in_place = {name: names.index(name) for name in _ADDED if name in names}
        self.in_front = [name for name in _ADDED if name not in names]
        self.header = [*self.in_front, *header]


class _TableRows:
    def __init__(self, file: TextIO, catalog: Catalog) -> None:
        self._file = file
        self._delimiter = catalog.delimiter
        self._width = len(catalog.header)
        self._columns = _Columns(catalog.header)
        if catalog.bom:
            file.write("\ufeff")
        self._record(self._columns.header)

    def write(self, row: BrokenRow, reason: dict[str, str]) -> None:
        front = [reason[name] for name in self._columns.in_front]
        if isinstance(row.given, list):
            cells = [*row.given, *[""] * (self._width - len(row.given))]
            for name, at in self._columns.in_place.items():
                cells[at] = reason[name]
            self._record([*front, *cells])
            return
        # A line whose quotes do not match is given back as it was: only a person can say where they belong.
        if front:
            self._record(front, end=self._delimiter)
        self._file.write(f"{row.given}".rstrip("\r\n") + "\n")

    def close(self) -> None:
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

    def write(self, row: BrokenRow, reason: dict[str, str]) -> None:
        content = row.given if isinstance(row.given, dict) else {TEXT: row.given}
        self._file.write(json.dumps({**reason, **content}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _SheetRows:
    def __init__(self, path: Path, catalog: Catalog) -> None:
        from couponpress.catalog.error_workbook import ErrorWorkbook  # noqa: PLC0415 - not every catalog is one

        self._columns = _Columns(catalog.header)
        self._book = ErrorWorkbook(path.open("wb"), catalog.sheet, self._columns.header)

    def write(self, row: BrokenRow, reason: dict[str, str]) -> None:
        told = {name: SheetCell(text, "@") for name, text in reason.items()}
        cells = [cell for cell in row.given if isinstance(cell, SheetCell)]
        for name, at in self._columns.in_place.items():
            cells[at] = told[name]
        self._book.append([*(told[name] for name in self._columns.in_front), *cells])

    def close(self) -> None:
        self._book.close()
