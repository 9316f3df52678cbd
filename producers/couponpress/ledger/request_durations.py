"""How long calls of the platform took: a histogram that the processes which send keep in Redis together.

Each process adds what it sent once a second. Counts only grow. Every part of a histogram's name comes from a closed
set, so its size does not grow with what the platform answers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, get_args

Operation = Literal["submit", "query", "upload", "certificates"]

#: Upper ends of the buckets, seconds: those that OpenTelemetry names for `http.client.request.duration`.
BOUNDS_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
#: Statuses that are told apart; any other is told as OTHER_STATUS.
STATUSES: Final = frozenset({200, 201, 202, 204, 400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504})
OTHER_STATUS: Final = "other"

_SUM: Final = "sum"


@dataclass(frozen=True, slots=True)
class Histogram:
    """The calls of one kind with one end.

    Attributes:
        operation: what they were for.
        status: the HTTP status of the answer, or `other`; empty when none came.
        error: why no answer came; empty when one did.
        counts: how many calls lie in each bucket; the last is beyond the last bound.
        sum_seconds: how long all of them took together.
    """

    operation: str
    status: str
    error: str
    counts: tuple[int, ...]
    sum_seconds: float


class Durations:
    """Adds up calls between two writes; knows no client."""

    def __init__(self) -> None:
        self._changes: Counter[str] = Counter()
        self._noted: list[tuple[Operation, int, str, float]] = []

    def note(self, operation: Operation, status: int, error: str, seconds: float) -> None:
        """Count one call; `status` is 0 when no answer came, and `error` then says why."""
        self._noted.append((operation, status, error, seconds))  # added up all at once, with warm caches

    def take(self) -> Counter[str]:
        """Return what changed since the last time, by the fields of the stored hash, and begin anew."""
        taken, self._changes = self._changes, Counter()
        for operation, status, error, seconds in self._noted:
            fields = _fields(operation, status if not status or status in STATUSES else -1, "" if status else error)
            taken[fields[bisect_left(BOUNDS_SECONDS, seconds)]] += 1
            taken[fields[-1]] += max(round(seconds * 1e6), 0)
        self._noted.clear()
        return taken

    def put_back(self, changes: Counter[str]) -> None:
        """Take changes back that could not be written."""
        self._changes.update(changes)


@cache
def _fields(operation: Operation, status: int, error: str) -> tuple[str, ...]:
    """Return the fields of one histogram: one for each bucket, and the sum; a status of -1 is any other."""
    told = (str(status) if status > 0 else OTHER_STATUS) if status else "-"
    name = f"{operation} {told} {error or '-'}"
    return (*(f"{name} {bucket}" for bucket in range(len(BOUNDS_SECONDS) + 1)), f"{name} {_SUM}")


def histograms_of(stored: Mapping[bytes, bytes]) -> list[Histogram]:
    """Return the histograms of the stored hash, in order; what another version wrote there is left out."""
    counts: dict[tuple[str, str, str], list[int]] = {}
    sums: Counter[tuple[str, str, str]] = Counter()
    for field, value in stored.items():
        operation, status, error, bucket = field.decode().split(" ")
        name = (operation, status.strip("-"), error.strip("-"))
        if operation not in get_args(Operation):
            continue
        if bucket == _SUM:
            sums[name] = int(value)
        elif int(bucket) <= len(BOUNDS_SECONDS):
            counts.setdefault(name, [0] * (len(BOUNDS_SECONDS) + 1))[int(bucket)] = int(value)
    return [Histogram(*name, tuple(counts[name]), sums[name] / 1e6) for name in sorted(counts)]
