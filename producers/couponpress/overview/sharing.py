"""Lets every viewer of a process share one overview: it is read at most once a second, and only when somebody asks.

A reading that failed is shared as well: ten viewers of a Redis that is away cost it one try a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from couponpress.overview.snapshot import Overview

#: How old the overview may be that a viewer is given.
FRESH_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Latest:
    """What came of the latest reading."""

    found: Overview | Exception | None = None
    read_at: float = float("-inf")

    def fresh(self, now: float) -> Overview | None:
        """Return the overview if it is new enough; raises what a new enough reading raised."""
        if now - self.read_at >= FRESH_SECONDS or self.found is None:
            return None
        if isinstance(self.found, Exception):
            # Each viewer raises it anew; without this its trace would grow with every one.
            raise self.found.with_traceback(None)
        return self.found


class SharedOverview:
    """One overview for all threads of a process."""

    def __init__(self, read: Callable[[], Overview], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._latest = _Latest()

    def get(self) -> Overview:
        """Return an overview that is at most a second old; waits while another viewer's reading is under way.

        Raises:
            Exception: whatever the reading raised.
        """
        with self._lock:
            if (fresh := self._latest.fresh(self._clock())) is not None:
                return fresh
            try:
                found = self._read()
            except Exception as error:
                self._latest = _Latest(error, self._clock())
                raise
            self._latest = _Latest(found, self._clock())
            return found

    def expire(self) -> None:
        """Let the next viewer be given a new reading: somebody just changed what is shown."""
        with self._lock:
            self._latest = _Latest()
