"""Log lines that anybody on the internet can cause: at most one of each kind in a while, with a count of the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

#: One line of a kind at most in so many seconds.
EVERY_SECONDS = 10.0


class SparseLog:
    """Writes to a log, sparsely.

    Args:
        log: where lines go.
        clock: seconds, never going back.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._written: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def write(self, kind: str, level: int, message: str, *args: object) -> None:
        """Write a line, unless one of its kind was written a moment ago; kinds are few and never come from outside."""
        now = self._clock()
        if now - self._written.get(kind, float("-inf")) < EVERY_SECONDS:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._written[kind] = now
        if left_out := self._left_out.pop(kind, 0):
            message, args = message + " (and %d more like it before)", (*args, left_out)
        self._log.log(level, message, *args)
