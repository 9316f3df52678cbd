"""How far a long act is: a bar for a terminal, plain lines for a log or a pipe.

A log gets a line at most every five seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn

#: How often a plain line is written where there is no terminal.
LINE_EVERY_SECONDS: Final = 5.0


class LinePace:
    """Says when the next plain line may be written.

    Args:
        clock: counts seconds.
        at_once: whether the first line may be written now, and not only after LINE_EVERY_SECONDS.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, at_once: bool = False) -> None:
        self._clock = clock
        self._last = float("-inf") if at_once else clock()

    def due(self) -> bool:
        """Return whether a line may be written now; if so, the next one may follow LINE_EVERY_SECONDS later."""
        now = self._clock()
        if now - self._last < LINE_EVERY_SECONDS:
            return False
        self._last = now
        return True


@contextmanager
def bar(console: Console, *columns: ProgressColumn, total: float | None) -> Iterator[Callable[..., None]]:
    """Show one act on a terminal until the block ends; yields what tells how far it is, as `rich` names it.

    That is `completed`, `advance`, `total` and `description`.
    """
    from rich.progress import Progress  # noqa: PLC0415 - slow to load

    with Progress(*columns, console=console, transient=True) as progress:
        yield partial(progress.update, progress.add_task("", total=total))
