"""A circuit breaker over the calls of one process (pure): the time comes in as a value.

It says when calls wait, when one may go out as a probe, when all may go again, and for how long a failed call costs
no try. `breaker_gate` does the waiting.

Closed, every call goes. It opens when four of five calls of the last two seconds failed, for two seconds, over at
least ten specs: a few specs that fail again and again never open it, however long they do. Open, one call a second
goes as a probe. Each good answer lets two more go, so what the platform takes doubles with every round trip, and
twenty good answers that outnumber the bad ones close it. Answers to calls of an earlier period change nothing: what
timed out long after it was sent says nothing about now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Literal

from couponpress_worker.timings import REAL, Timings

#: So many of the calls must have failed: less is an ailing platform, with which the retry schedule copes faster.
FAILED_SHARE = 0.8
#: Over so many specs: fewer may be at fault themselves.
FEWEST_SPECS = 10
#: So many good answers close it.
GOOD_ANSWERS = 20
#: How many calls a good answer lets go.
GROWTH = 2

Change = Literal["opened", "closed"]


class Pass:
    """The right to make one call, the same for all calls of a period; given to `tell` with what became of the call."""

    __slots__ = ()


class Breaker:
    """The state of one process's breaker. Every `now` is in seconds of one clock that never goes back.

    Attributes:
        is_open: whether calls are held back.
    """

    def __init__(self, timings: Timings = REAL) -> None:
        self._timings = timings
        self.is_open = False
        self._pass = Pass()
        self._answers: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._failing_since: float | None = None
        self._failing_specs: set[Hashable] = set()
        self._last_answer = 0.0
        self._opened_at = 0.0
        self._probe_at = 0.0
        self._good = self._bad = self._passes = 0

    def ask(self, now: float) -> Pass | float:
        """Return a pass for one call, or after how many seconds there will be one at the latest."""
        if self.is_open:
            if self._passes:
                self._passes -= 1
            elif now >= self._probe_at:
                self._probe_at = now + self._timings.breaker_probe
            else:
                return self._probe_at - now
        return self._pass

    def unused(self, given: Pass) -> None:
        """Take a pass back whose call was not made."""
        if self.is_open and given is self._pass:
            self._passes += 1

    def tell(self, given: Pass, spec: Hashable, *, failed: bool, now: float) -> Change | None:
        """Hear what became of a call; returns what that changed."""
        if given is not self._pass:
            return None
        return self._told_open(failed=failed) if self.is_open else self._told_closed(spec, failed=failed, now=now)

    def spends_no_try(self, now: float) -> bool:
        """Whether a call that failed costs its spec nothing."""
        return self.is_open and now - self._opened_at < self._timings.breaker_free

    def _told_closed(self, spec: Hashable, *, failed: bool, now: float) -> Change | None:
        if now - self._last_answer > self._timings.breaker_silence:
            self._begin_anew()
        self._last_answer = now
        self._answers.append((now, failed))
        self._failed += failed
        while self._answers[0][0] < now - self._timings.breaker_window:
            self._failed -= self._answers.popleft()[1]
        if self._failed < FAILED_SHARE * len(self._answers):
            self._failing_since = None
            self._failing_specs.clear()
            return None
        if self._failing_since is None:
            self._failing_since = now
        if not failed:
            return None
        if len(self._failing_specs) < FEWEST_SPECS:
            self._failing_specs.add(spec)
        if len(self._failing_specs) < FEWEST_SPECS or now - self._failing_since < self._timings.breaker_failing:
            return None
        self.is_open = True
        self._pass = Pass()
        self._opened_at = now
        self._probe_at = now + self._timings.breaker_probe
        self._good = self._bad = self._passes = 0
        return "opened"

    def _told_open(self, *, failed: bool) -> Change | None:
        if failed:
            self._bad += 1
            self._passes //= 2
            if self._bad > self._good:
                self._good = self._bad = self._passes = 0
            return None
        self._good += 1
        self._passes += GROWTH
        if self._good < GOOD_ANSWERS:
            return None
        self.is_open = False
        self._pass = Pass()
        self._begin_anew()
        return "closed"

    def _begin_anew(self) -> None:
        self._answers.clear()
        self._failed = 0
        self._failing_since = None
        self._failing_specs.clear()
