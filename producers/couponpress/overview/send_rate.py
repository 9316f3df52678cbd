"""Counts the requests of the last ten minutes by the second, and finds the most in any 1 s (pure).

Entries of the send log are added as they are read, so each is unpacked once. An entry may come late, after Redis was
away: the seconds that it touches are counted again.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from couponpress.ledger.send_log import KEPT_MS, WINDOW_US, in_last_second

#: The length of the series, seconds.
SPAN_SECONDS: Final = KEPT_MS // 1000
#: Workers write their log once a second: a second is complete so long after its end.
SETTLE_SECONDS: Final = 2
#: The rate of this moment is the mean over so many complete seconds.
NOW_SECONDS: Final = 5

#: From this share of a limit on, it is the limit that keeps the fleet from sending faster.
AT_THE_LIMIT: Final = 0.9
#: A limit is judged by about so many requests, but by no more seconds than these.
_JUDGED_BY: Final = 50
_LONGEST_JUDGED_SECONDS: Final = 60


def shown_rate(per_second: float) -> str:
    """Return a rate with as many digits as tell something.

    >>> shown_rate(487.6), shown_rate(0.1)
    ('488', '0.1')
    """
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"


@dataclass(frozen=True, slots=True)
class Sending:
    """The requests of the last ten minutes that submitted a spec, by all processes together.

    Attributes:
        first_second: the second of the first number of `per_second`, since 1970.
        per_second: how many requests left in each second; the last is the latest that is complete.
        now: requests a second, the mean of the last five complete seconds.
        most: the most requests in any window of 1 s. `couponpress limit --proof FILE` writes the moments that prove it.
        most_at: when that window ended, seconds since 1970; None while there was no request.
        total: how many requests there were.
    """

    first_second: int
    per_second: tuple[int, ...]
    now: float
    most: int
    most_at: float | None
    total: int

    def fills(self, limit_per_second: float) -> bool:
        """Return whether about as many requests leave as a limit allows.

        A slow limit is judged over up to a minute, and one request is overlooked: it may be a tenth of the limit.
        """
        seconds = min(max(NOW_SECONDS, math.ceil(_JUDGED_BY / limit_per_second)), _LONGEST_JUDGED_SECONDS)
        return sum(self.per_second[-seconds:]) + 1 >= AT_THE_LIMIT * limit_per_second * seconds


class SendRate:
    """What is known of the send log; for one reader."""

    def __init__(self) -> None:
        self._moments: dict[int, list[int]] = {}
        #: Of each second: the most in a window of 1 s that ends in it, and the window's end, µs.
        self._peaks: dict[int, tuple[int, int]] = {}

    def add(self, entries: Iterable[list[int]]) -> None:
        """Take entries of the log: of each, its moments in order, µs since 1970."""
        touched: set[int] = set()
        for moments in entries:
            at = 0
            while at < len(moments):
                second = moments[at] // WINDOW_US
                end = bisect_left(moments, (second + 1) * WINDOW_US, at)
                known = self._moments.setdefault(second, [])
                known += moments[at:end]
                touched |= {second, second + 1}
                at = end
        for second in touched & self._moments.keys():
            self._moments[second].sort()
        for second in touched & self._moments.keys():
            self._peaks[second] = self._peak(second)

    def sending(self, now_seconds: int) -> Sending:
        """Return the last ten minutes at a moment of Redis's clock, and forget what was before."""
        end = now_seconds - SETTLE_SECONDS + 1
        first = end - SPAN_SECONDS
        for second in [second for second in self._moments if second < first - 1]:
            del self._moments[second]
            self._peaks.pop(second, None)
        counts = tuple(len(self._moments.get(second, ())) for second in range(first, end))
        # The newest seconds may yet grow; what is there already counts.
        most, most_at_us = max((peak for second, peak in self._peaks.items() if second >= first), default=(0, 0))
        return Sending(
            first_second=first,
            per_second=counts,
            now=sum(counts[-NOW_SECONDS:]) / NOW_SECONDS,
            most=most,
            most_at=most_at_us / WINDOW_US if most else None,
            total=sum(counts),
        )

    def _peak(self, second: int) -> tuple[int, int]:
        own = self._moments[second]
        before = self._moments.get(second - 1, [])
        before = before[bisect_left(before, own[0] - WINDOW_US) :]
        counts = list(in_last_second(before + own))[len(before) :]
        most = max(counts)
        return most, own[counts.index(most)]
