"""How far catalogs are read: a bar with an ETA for a terminal, plain lines for a log.

It only shows what the upload has read by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from couponpress.language import gettext
from couponpress.plurals import counted
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.progress import LinePace, bar


@contextmanager
def reading_progress(
    upload: CatalogUpload, console: Console, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Show how far the upload's catalogs are read, for as long as this lasts. `clock` counts seconds."""
    began = clock()
    if console.is_terminal:
        from rich.progress import (  # noqa: PLC0415 - slow to load
            BarColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from couponpress.cli.counters import spinner  # noqa: PLC0415 - likewise

        text = TextColumn("{task.description}")
        columns = (spinner(console), BarColumn(), text, TimeElapsedColumn(), TimeRemainingColumn())
        with bar(console, *columns, total=None) as update:

            def show() -> None:
                told = gettext("%(rows)s, %(speed)s") % {
                    "rows": counted(upload.rows, "row"),
                    "speed": _speed(upload, clock() - began),
                }
                update(completed=upload.bytes_read, total=upload.size, description=told)

            show()
            with _told(upload, show):
                yield
        return
    pace = LinePace(clock)

    def line() -> None:
        if pace.due():
            console.print(reading_line(upload, clock() - began))

    with _told(upload, line):
        yield


def reading_line(upload: CatalogUpload, seconds: float) -> str:
    """Return how far the catalogs are read after so many seconds, in one line."""
    told = gettext("read %(rows)s, %(speed)s") % {"rows": counted(upload.rows, "row"), "speed": _speed(upload, seconds)}
    if upload.size and upload.bytes_read:
        share = min(upload.bytes_read / upload.size, 1.0)
        told += gettext(", %(share)s, %(seconds)s s to go") % {
            "share": f"{share:.0%}",
            "seconds": f"{seconds / share - seconds:.0f}",
        }
    return told


def _speed(upload: CatalogUpload, seconds: float) -> str:
    return f"{upload.rows / seconds if seconds else 0:,.0f}/s"


@contextmanager
def _told(upload: CatalogUpload, on_read: Callable[[], None]) -> Iterator[None]:
    before, upload.on_read = upload.on_read, on_read
    try:
        yield
    finally:
        upload.on_read = before
