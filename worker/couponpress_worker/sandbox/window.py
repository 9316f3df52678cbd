"""How many requests a second holds, pure: the sliding window that enforces a limit, and the count of all arrivals.

Every moment is an integer of microseconds on one monotonic clock, so that no rounding decides at a window's edge.
A window of one second is half open: the moments m with `t - 1 s < m <= t`.
"""

from __future__ import annotations

from array import array
from collections import deque

SECOND_US = 1_000_000


class SlidingWindow:
    """Admits at most `limit` requests in any window of one second; 0 admits all.

    Only what was admitted counts: a client that asks too often is not kept out for asking.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._admitted_us: deque[int] = deque()

    def admits(self, now_us: int) -> bool:
        """Whether a request at `now_us` is within the limit; if so it is counted. Moments must not go back."""
        admitted = self._admitted_us
        while admitted and admitted[0] <= now_us - SECOND_US:
            admitted.popleft()
        if self.limit and len(admitted) >= self.limit:
            return False
        admitted.append(now_us)
        return True


class Arrivals:
    """Every request of one kind that came, admitted or not: when, for which task, and what it was answered.

    Attributes:
        moments_us: when each came; never decreasing.
        task_ids: the task that each named; empty where it named none.
        statuses: the HTTP status that each was answered; 0 while it has no answer, or when it got none.
        most_in_any_second: the most arrivals in any window of one second, exactly.
        per_second: arrivals in each full second since the first one.
    """

    def __init__(self) -> None:
        self.moments_us = array("q")
        self.task_ids: list[str] = []
        self.statuses = array("H")
        self.most_in_any_second = 0
        self.per_second: list[int] = []
        self._oldest_in_window = 0

    def __len__(self) -> int:
        return len(self.moments_us)

    def record(self, now_us: int) -> int:
        """Count one arrival and return its number, from 0."""
        moments = self.moments_us
        if moments:
            now_us = max(now_us, moments[-1])
        moments.append(now_us)
        self.task_ids.append("")
        self.statuses.append(0)
        while moments[self._oldest_in_window] <= now_us - SECOND_US:
            self._oldest_in_window += 1
        self.most_in_any_second = max(self.most_in_any_second, len(moments) - self._oldest_in_window)
        second = (now_us - moments[0]) // SECOND_US
        while len(self.per_second) <= second:
            self.per_second.append(0)
        self.per_second[second] += 1
        return len(moments) - 1

    def offsets_seconds(self) -> list[float]:
        """Return each arrival's distance from the first, in seconds."""
        return [(moment - self.moments_us[0]) / SECOND_US for moment in self.moments_us]
