"""How late the event loop runs: what recorded moments are worth.

A loop that is late stamps arrivals late and bunches them; a figure from a run with a large lag says less.
"""

from __future__ import annotations

import asyncio
import time

PERIOD_SECONDS = 0.02


class Lag:
    """Wakes up every 20 ms and remembers how late the latest wake-up was.

    Attributes:
        most_ms: the largest lateness since it was last set to 0, milliseconds; about 1 is the timer's own step.
    """

    def __init__(self) -> None:
        self.most_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, on the running loop."""
        self._look(time.monotonic())

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due: float) -> None:
        now = time.monotonic()
        self.most_ms = max(self.most_ms, (now - due) * 1000)
        self._timer = asyncio.get_running_loop().call_later(PERIOD_SECONDS, self._look, now + PERIOD_SECONDS)
