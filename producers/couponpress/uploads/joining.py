"""Writes the rows of a catalog again, in its own format, with the outcome and the picture of each row.

A row belongs to the outcome of the task_id that `submit` gives it in the run. A row without an outcome of its own says
why: it is broken, or the run does not hold it. The outcomes lie in a private table of sqlite, which goes to a temporary
file of its own when it is large, so that memory stays the same for any number of rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from couponpress import catalog
from couponpress.catalog.rows import SheetCell
from couponpress.catalog.source import no_temporary_file
from couponpress.errors import CatalogError, InputError
from couponpress.language import gettext, gettext_noop, joined
from couponpress.ledger.chunks import identified_in
from couponpress.outcome import Outcome
from couponpress.results import harmless
from couponpress.spec import task_ids_of
from couponpress.stored_sentences import in_words
from couponpress.uploads.file_names import results_path

NOT_SUBMITTED: Final = "not submitted"
_NOT_IN_RUN: Final = gettext_noop("the run holds no such row")

_BEGIN: Final = (
    "PRAGMA journal_mode = OFF",
    "CREATE TABLE outcomes (task_id TEXT PRIMARY KEY, outcome TEXT, image_url TEXT, code TEXT, message TEXT)",
)
_ADD: Final = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)"
_ASK: Final = "SELECT outcome, image_url, code, message FROM outcomes WHERE task_id = ?"


class OutcomeTable:
    """The outcomes of one run by their task_id; close it."""

    def __init__(self, run: str, outcomes: Iterable[Outcome]) -> None:
        """Read the outcomes of a run.

        Raises:
            CatalogError: the temporary file cannot be written.
        """
        self._identified = identified_in(run)
        self._task_id_of = task_ids_of(run)
        self._table = sqlite3.connect("", isolation_level=None)
        try:
            for statement in _BEGIN:
                self._table.execute(statement)
            self._table.execute("BEGIN")
            lines = ((one.task_id, one.outcome, one.image_url, one.code, in_words(one.message)) for one in outcomes)
            self._table.executemany(_ADD, lines)
            self._table.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise no_temporary_file(str(error)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Delete the table."""
        self._table.close()

    def of_row(self, one: catalog.Catalog, row: catalog.Row | catalog.BrokenRow) -> Sequence[str]:
        """Return outcome, picture, code and message of a row."""
        if isinstance(row, catalog.Row):
            return self._of(self._identified(row.serialized_spec).task_id) or (
                NOT_SUBMITTED,
                "",
                "",
                gettext(_NOT_IN_RUN),
            )
        # A broken row may have been mended in its error file, which is submitted under the same ids.
        row_id, task_id = _own_ids(one, row.given)
        known = self._of(task_id or self._task_id_of(row_id or row.default_row_id))
        return known or (NOT_SUBMITTED, "", "", joined(map(str, row.problems), "; "))

    def _of(self, task_id: str) -> Sequence[str] | None:
        try:
            found: Sequence[str] | None = self._table.execute(_ASK, (task_id,)).fetchone()
        except sqlite3.Error as error:
            raise no_temporary_file(str(error)) from None
        return found


def _own_ids(one: catalog.Catalog, given: catalog.Given) -> tuple[str, str]:
    """Return the row id and the task id that stand in a broken row; empty where it has none."""
    if isinstance(given, str):
        return "", ""
    if isinstance(given, dict):
        return str(given.get("row_id") or ""), str(given.get("task_id") or "")
    row_id, task_id = ("" if at is None or at >= len(given) else _text_of(given[at]) for at in one.ids_at)
    return row_id, task_id


def _text_of(cell: str | SheetCell) -> str:
    value = cell.value if isinstance(cell, SheetCell) else cell
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def join(one: catalog.Catalog, path: Path, table: OutcomeTable) -> int:
    """Write the rows of an open catalog with their outcomes to a file; returns how many rows.

    Raises:
        CatalogError: the catalog cannot be read, has no row, or the file cannot be written; no file is left then.
    """
    joined = catalog.AddedRows(path, one, catalog.RESULT)
    try:
        for row in one:
            cells = table.of_row(one, row)
            if one.format == "csv":
                cells = [str(harmless(cell)) for cell in cells]
            joined.add(row.given, dict(zip(catalog.RESULT, cells, strict=True)))
    except BaseException:
        joined.discard()
        raise
    if not joined.written:
        raise CatalogError(
            gettext("%(name)s has no row below its header; there is nothing to join.") % {"name": one.name}
        )
    joined.close()
    return joined.written


def join_all(
    files: Sequence[str],
    output: Path | None,
    table: OutcomeTable,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    headers: catalog.HeaderMapping | None = None,
    header_row: int | None = None,
    empty: Sequence[str] = (),
) -> list[tuple[Path, int]]:
    """Join several catalogs of one run, given in the order in which they were submitted; see `join`.

    With `all` as the sheet each sheet of a workbook goes to a file of its own.
    """
    written = []
    parts = catalog.parts_of(files, sheet, headers=headers)
    if output is not None and len(parts) > 1:
        table.close()
        raise InputError(gettext("-o names one file, but several sheets are joined; leave it out."))
    with closing(table), catalog.DuplicateIds() as seen:
        for part in parts:
            with catalog.read(
                part.name,
                encoding=encoding,
                sheet=part.sheet,
                headers=headers,
                header_row=header_row,
                empty=empty,
                row_prefix=part.row_prefix,
                seen=seen,
                pictures=catalog.MerchantPictures("gather"),
            ) as one:
                path = output or results_path(one, part)
                if one.path and path.suffix.lower() != results_path(one).suffix.lower():
                    raise CatalogError(
                        gettext(
                            "%(path)s would hold the rows of %(name)s under another format's name; give it the "
                            "suffix %(suffix)s."
                        )
                        % {"path": path, "name": one.name, "suffix": results_path(one).suffix}
                    )
                written.append((path, join(one, path, table)))
    return written
