"""Measures how late the event loop runs, and so how exact the recorded moments are.

A late loop stamps arrivals late and bunches them, so figures from a run with a large lag are less exact.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

PERIOD_SECONDS = 0.02
#: A wake-up that is later than this is remembered with its moment.
NOTED_SECONDS = 0.01
_KEPT = 100_000


class Lag:
    """Wakes up every 20 ms and remembers how late the latest wake-up was.

    Attributes:
        most_ms: the largest lateness since it was last set to 0, milliseconds; about 1 is the timer's own step.
        late_us: when the loop was noticeably late: from the last moment at which it was surely on time to the first,
            microseconds on the monotonic clock. What was stamped in between may have come at any moment of it.
    """

    def __init__(self) -> None:
        self.most_ms = 0.0
        self.late_us: deque[tuple[int, int]] = deque(maxlen=_KEPT)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start measuring, on the running loop."""
        self._look(time.monotonic())

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due: float) -> None:
        now = time.monotonic()
        self.most_ms = max(self.most_ms, (now - due) * 1000)
        if now - due > NOTED_SECONDS:
            self.late_us.append((int((due - PERIOD_SECONDS) * 1e6), int((now + PERIOD_SECONDS) * 1e6)))
        self._timer = asyncio.get_running_loop().call_later(PERIOD_SECONDS, self._look, now + PERIOD_SECONDS)
