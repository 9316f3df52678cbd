"""Rows whose task_id the ledger knows with another body: which row it is, and the broken row that it becomes."""

from __future__ import annotations

from collections.abc import Mapping

from couponpress import catalog
from couponpress.errors import Problem
from couponpress.language import gettext, quoted
from couponpress.ledger.chunks import Identify


def without_conflict(
    row: catalog.Row | catalog.BrokenRow, conflicts: Mapping[str, str], identified: Identify
) -> catalog.Row | catalog.BrokenRow:
    """Return a row, or the broken row for one whose task_id is among `conflicts`, which hold the reasons."""
    if not conflicts or isinstance(row, catalog.BrokenRow):
        return row
    reason = conflicts.get(identified(row.serialized_spec).task_id)
    if reason is None:
        return row
    return catalog.BrokenRow(row.line, row.default_row_id, row.given, (Problem("row", reason),))


def place_of(rows: catalog.Catalog, task_id: str, identified: Identify) -> str | None:
    """Read a catalog for the row with this task_id; returns its file, line and row id for a sentence."""
    for row in rows:
        if isinstance(row, catalog.Row):
            one = identified(row.serialized_spec)
            if one.task_id == task_id:
                return gettext("line %(line)s of %(name)s (row %(row_id)s)") % {
                    "line": row.line,
                    "name": rows.name,
                    "row_id": quoted(one.row.row_id),
                }
    return None
