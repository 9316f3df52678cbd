"""Forecasts how long it takes to send specs (pure).

"Done by" is the moment at which the last request leaves, if the fleet keeps its rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from couponpress.language import gettext
from couponpress.plurals import span


@dataclass(frozen=True, slots=True)
class Forecast:
    """What sending takes.

    Attributes:
        specs: how many are to be sent, those that go first included.
        rate: how many leave a second.
        now: when it begins, seconds since 1970.
        time_zone: in which moments are told; None for this machine's.
    """

    specs: int
    rate: float
    now: float
    time_zone: tzinfo | None = None

    @property
    def seconds(self) -> int:
        """How long it takes."""
        return math.ceil(self.specs / self.rate)

    @property
    def done_by(self) -> datetime:
        """When the last request leaves."""
        return self._at(self.now + self.seconds)

    @property
    def sentence(self) -> str:
        """The forecast for people.

        >>> Forecast(312_000, 493.0, now=0.0).sentence.partition(",")[0]
        '10 min 33 s at 493/s'
        """
        rate = f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.2g}"
        return gettext("%(span)s at %(rate)s/s, done by %(moment)s") % {
            "span": span(self.seconds),
            "rate": rate,
            "moment": self.told(self.done_by),
        }

    def told(self, moment: datetime) -> str:
        """Return a time for people: hours and minutes, with the date if it is not today."""
        return f"{moment:%H:%M:%S}" if moment.date() == self._at(self.now).date() else f"{moment:%Y-%m-%d %H:%M:%S}"

    def _at(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, UTC).astimezone(self.time_zone)
