"""Enqueues the good rows of a catalog; one whose task_id is known with another body is broken, and stops no other.

The first such row ends an attempt, and nothing of it is stored. The row is then marked, and the catalog is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from couponpress.errors import ConflictError, InputError
from couponpress.language import gettext, quoted
from couponpress.uploads.catalog_upload import CatalogUpload

T = TypeVar("T")

#: Each conflict takes one more reading of the catalogs; so many changed rows are another catalog.
MOST_CONFLICTS: Final = 20


def enqueue_rows(upload: CatalogUpload, enqueue: Callable[[], T], *, strict: bool = False, names_run: bool = True) -> T:
    """Enqueue the good rows, and return what `enqueue` returns.

    Args:
        upload: the catalogs.
        enqueue: reads them and enqueues what they give; called again after each conflict.
        strict: whether the first conflict refuses the whole catalog.
        names_run: whether the person may know in which run a task_id is known.

    Raises:
        ConflictError: the catalogs come from standard input, which cannot be read again.
        InputError: with strict, or there are too many conflicts to look for each.
    """
    while True:
        try:
            return enqueue()
        except ConflictError as error:
            if upload.from_standard_input or error.task_id in upload.conflicts:
                raise
            where = upload.row_of(error.task_id)
            if strict or where is None or len(upload.conflicts) >= MOST_CONFLICTS:
                told = str(error) if names_run else gettext("a task_id is known with another body.")
                raise InputError(f"{where}: {told}" if where else told) from None
            upload.conflicts[error.task_id] = _reason(error, names_run=names_run)


def _reason(error: ConflictError, *, names_run: bool) -> str:
    if not names_run:
        told = gettext("its task_id %(task_id)s is known with another body; give the row another id")
        return told % {"task_id": error.task_id}
    return gettext(
        "its task_id %(task_id)s is known in run %(known_run)s with another body; give the row "
        "another id, or submit it under a new run name"
    ) % {"task_id": error.task_id, "known_run": quoted(error.known_run)}
