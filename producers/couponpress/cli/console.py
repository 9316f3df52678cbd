"""What every command shares: the exit codes, where messages go, and how a file is opened for writing.

Results go to standard output. Progress and messages go to `stderr`, so that both can be told apart by a script.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from couponpress.errors import InputError, system_error
from couponpress.language import gettext, gettext_noop

if TYPE_CHECKING:
    from rich.console import Console

#: Exit codes: done; some rows or specs ended badly; bad usage or bad input.
DONE: Final = 0
ENDED_BADLY: Final = 1
BAD_INPUT: Final = 2


RunArgument = Annotated[str | None, typer.Argument(help=gettext_noop("The run's name."), show_default=False)]
WhyOption = Annotated[
    str,
    typer.Option("--why", help=gettext_noop("The reason, for whoever looks later."), show_default=False),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        help=gettext_noop("Until when, such as 06:00 or 2026-11-30T06:00."), metavar="MOMENT", show_default=False
    ),
]
ForOption = Annotated[
    str | None,
    typer.Option("--for", help=gettext_noop("For how long, such as 30m or 2h."), metavar="LENGTH", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help=gettext_noop("Print JSON, for scripts."))]
BrandOption = Annotated[
    str | None, typer.Option(help=gettext_noop("A brand's id, instead of a run."), show_default=False)
]


@cache
def stderr() -> Console:
    """Return where messages go. Names and reasons are shown as they are, whatever they would mean as markup."""
    from rich.console import Console  # noqa: PLC0415 - many commands say nothing

    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def confirmed(question: str) -> bool:
    """Ask until the person answers y or n, or 是 or 否; Enter means no.

    Raises:
        typer.Abort: the terminal was closed, or Ctrl-C was pressed.
    """
    while True:
        answer = typer.prompt(f"{question} [y/N]", default="n", show_default=False, err=True).strip().lower()
        if answer in {"y", "yes", "是"}:
            return True
        if answer in {"n", "no", "否"}:
            return False
        stderr().print(gettext("answer y or n"))


@contextmanager
def open_output(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing, with line ends as they are given; it has its name once it is whole.

    Raises:
        InputError: the file cannot be written.
    """
    # What is no file, such as /dev/null, cannot be renamed to.
    unfinished = path if path.exists() and not path.is_file() else path.with_name(f".{path.name}.part")
    try:
        try:
            with unfinished.open("w", encoding="utf-8", newline="") as stream:
                yield stream
            if unfinished != path:
                unfinished.replace(path)
        finally:
            if unfinished != path:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> InputError:
    """Return the sentence for a file that the system does not let be written."""
    return InputError(
        gettext("%(path)s cannot be written (%(reason)s); choose another place for it.")
        % {"path": path, "reason": system_error(error)}
    )
