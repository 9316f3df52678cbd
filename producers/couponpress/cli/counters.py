"""Counters for a terminal: how many rows a command has stored, how many pictures it has fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from couponpress.language import gettext
from couponpress.uploads.progress import bar


def spinner(console: Console) -> SpinnerColumn:
    """Return what turns while a command works, in letters that the terminal has."""
    return SpinnerColumn("dots" if console.encoding.lower().startswith("utf") else "line")


@contextmanager
def row_counter(console: Console) -> Iterator[Callable[[int], None] | None]:
    """Show how many rows were stored; yields None where there is no terminal."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        spinner(console),
        TextColumn(gettext("%(number)s rows") % {"number": "{task.completed:,.0f}"}),
        TimeElapsedColumn(),
    )
    with bar(console, *columns, total=None) as update:
        yield lambda rows: update(completed=rows)


@contextmanager
def picture_counter(console: Console, total: int) -> Iterator[Callable[[], None]]:
    """Show how many of a run's pictures are fetched, for a terminal."""
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn(gettext("pictures")), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with bar(console, *columns, total=total) as update:
        yield lambda: update(advance=1)
