"""Counters for a terminal: how many rows a command has stored, how many pictures it has fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from couponpress.language import gettext


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
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("rows", total=None)
        yield lambda rows: progress.update(task, completed=rows)


@contextmanager
def picture_counter(console: Console, total: int) -> Iterator[Callable[[], None]]:
    """Show how many of a run's pictures are fetched, for a terminal."""
    columns = (TextColumn(gettext("pictures")), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.update(task, advance=1)
