"""The spans that fleets run with here."""

from couponpress_worker.timings import REAL

#: The share of the real spans.
SCALE = 0.2
SPANS = REAL.scaled(SCALE)
