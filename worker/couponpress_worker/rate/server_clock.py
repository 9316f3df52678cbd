"""Estimates Redis's clock from a process's own clock, as an interval that each answer narrows.

Redis read its clock at some moment between `sent` and `received`, so one answer tells the difference of the clocks
to within a round trip. A round trip of a busy process is long, for the answer waits until it is looked at; but the
difference hardly changes, so the interval is cut with what earlier answers told (Marzullo's algorithm, as in NTP, RFC
5905), widened by what the clocks may have drifted apart since. Where nothing is left, a clock was set: then the
newest answer alone counts.
"""

from __future__ import annotations

#: How fast two clocks may drift apart: the most that the kernel slews a clock by (adjtimex(2)).
DRIFT = 500e-6


class RedisClock:
    """The difference between Redis's clock, microseconds since 1970, and a process's own, seconds."""

    def __init__(self) -> None:
        self._base_us = 0
        self._least = self._most = self._heard_at = 0.0
        self._heard = False

    def hear(self, at_us: int, *, sent: float, received: float) -> None:
        """Take an answer that Redis made at `at_us`, asked for at `sent` and looked at when `received`."""
        if not self._heard:
            self._base_us = at_us
        since_base = (at_us - self._base_us) / 1_000_000
        on_the_way = DRIFT * (received - sent)
        least, most = sent - since_base - on_the_way, received - since_base + on_the_way
        drifted = DRIFT * max(received - self._heard_at, 0.0)
        if self._heard:
            narrow = max(least, self._least - drifted), min(most, self._most + drifted)
            if narrow[0] <= narrow[1]:
                least, most = narrow
        self._least, self._most, self._heard_at, self._heard = least, most, received, True

    def surely_past(self, moment_us: int) -> float:
        """Return when a moment of Redis's clock has certainly come, on the process's own."""
        return self._most + (moment_us - self._base_us) / 1_000_000

    def surely_not_past(self, moment_us: int) -> float:
        """Return until when a moment of Redis's clock has certainly not gone by, on the process's own."""
        return self._least + (moment_us - self._base_us) / 1_000_000
