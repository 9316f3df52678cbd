"""Broken rows go back to the person who can mend them, in the catalog's own format, with the reason beside each.

Decides how a row and its problems are written so that the mended file can be submitted as it is: the added columns
are ignored on reading, except that the line stays the row's id. Refuses to know why a row is broken.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from couponpress.catalog.json_lines import TEXT
from couponpress.catalog.reader import Catalog
from couponpress.catalog.rows import LINE, PROBLEM, BrokenRow
from couponpress.errors import CatalogError


class ErrorFile:
    """The broken rows of one catalog, one line each; the file is created with the first of them.

    Attributes:
        path: where it is, or would be; a file that is already there is written over.
        written: how many rows it holds.
    """

    def __init__(self, path: str | Path, catalog: Catalog) -> None:
        """Prepare an error file for `catalog`, whose format, columns and byte-order mark it takes.

        Raises:
            CatalogError: the path is the catalog itself.
        """
        self.path = Path(path)
        self.written = 0
        self._catalog = catalog
        header = [name.strip() for name in catalog.header]
        #: A catalog that is an error file itself has these columns already; they are filled where they stand.
        self._in_place = {name: header.index(name) for name in (LINE, PROBLEM) if name in header}
        self._in_front = [name for name in (LINE, PROBLEM) if name not in header]
        self._file: TextIO | None = None
        if catalog.path and self.path.exists() and self.path.samefile(catalog.path):
            raise CatalogError(f"{self.path} is the catalog itself; give the error file another name.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def write(self, row: BrokenRow) -> None:
        """Add a row, with every problem that it has.

        Raises:
            CatalogError: the file cannot be written.
        """
        reason = {LINE: row.default_row_id, PROBLEM: "; ".join(map(str, row.problems))}
        try:
            if self._file is None:
                self._file = self._begun()
            if self._catalog.format == "csv":
                self._write_cells(self._file, row, reason)
            else:
                content = row.given if isinstance(row.given, dict) else {TEXT: row.given}
                self._file.write(json.dumps({**reason, **content}, ensure_ascii=False) + "\n")
        except OSError as error:
            raise CatalogError(
                f"the error file {self.path} cannot be written ({error.strerror}); choose another place for it."
            ) from None
        self.written += 1

    def _begun(self) -> TextIO:
        # Half a surrogate pair has no UTF-8; as a backslash escape it is what JSON itself would write.
        encoding = "utf-8-sig" if self._catalog.bom else "utf-8"
        file = self.path.open("w", encoding=encoding, errors="backslashreplace", newline="")
        if self._catalog.format == "csv":
            csv.writer(file, lineterminator="\n").writerow([*self._in_front, *self._catalog.header])
        return file

    def _write_cells(self, file: TextIO, row: BrokenRow, reason: dict[str, str]) -> None:
        front = [reason[name] for name in self._in_front]
        if isinstance(row.given, list):
            cells = [*row.given, *[""] * (len(self._catalog.header) - len(row.given))]
            for name, at in self._in_place.items():
                cells[at] = reason[name]
            csv.writer(file, lineterminator="\n").writerow([*front, *cells])
            return
        # A line whose quotes do not match is given back as it was: only a person can say where they belong.
        if front:
            csv.writer(file, lineterminator=",").writerow(front)
        file.write(f"{row.given}".rstrip("\r\n") + "\n")
