"""What a submission would do, without doing it: the first bodies, how many specs, and how long they would take.

Nothing is enqueued. The caller says where the rate in force is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice

from rich.console import Console

from couponpress.cli.reading_progress import reading_progress
from couponpress.language import gettext
from couponpress.plurals import counted
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.forecast import Forecast
from couponpress.uploads.picture_upload import check_files

_BODIES = 3


def dry_run(
    upload: CatalogUpload,
    run: str,
    console: Console,
    show_body: Callable[[bytes], None],
    ask_pace: Callable[[], tuple[float, int]],
) -> bool:
    """Read every row, show the first bodies and what all would take; returns whether all of it could be sent.

    `ask_pace` gives the rate in force, per second, and how many specs wait already.

    Raises:
        CatalogError: as `CatalogUpload.specs`.
    """
    if upload.pictures.phase == "find":
        upload.pictures.phase = "gather"
    with reading_progress(upload, console), closing(upload.specs()) as specs:
        bodies = [spec.identified(run).body() for spec in islice(specs, _BODIES)]
        for _ in specs:
            pass
    for body in bodies:
        show_body(body)
    refused = check_files(upload.pictures, console) if upload.pictures.sources else 0
    console.print(upload.report())
    if upload.good:
        console.print(cost_line(upload.good, *ask_pace(), now=time.time()))
    console.print(
        gettext("dry run: %(good)s would be enqueued in run %(run)s; nothing was.")
        % {"good": counted(upload.good, "spec"), "run": run}
    )
    return not upload.broken and not refused


def cost_line(rows: int, rate: float, waiting: int, now: float) -> str:
    """Return what rows cost in time at a rate (per second), behind those that wait already; `now` in s since 1970.

    >>> cost_line(312_000, 493.0, 0, now=0.0).partition(", done")[0]
    '312,000 rows, 10 min 33 s at 493/s'
    """
    behind = gettext(" behind %(waiting)s that wait already") % {"waiting": f"{waiting:,}"} if waiting else ""
    return gettext("%(rows)s%(behind)s, %(sentence)s") % {
        "rows": counted(rows, "row"),
        "behind": behind,
        "sentence": Forecast(rows + waiting, rate, now).sentence,
    }
