"""The log of when each request of the last minutes was sent, and the busiest second in it.

Moments are integer microseconds since 1970 on Redis's clock. Workers append to the log once a second; every process
may read it.
"""

from __future__ import annotations

import csv
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TextIO, cast

import redis

from couponpress.keys import Keys

WINDOW_US = 1_000_000
#: How far back the log goes.
KEPT_MS = 10 * 60 * 1000

_READ_BATCH = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: when it was sent, and by which process."""

    at_us: int
    process: str


def pack_moments(moments_us: Iterable[int]) -> bytes:
    """Return at least one moment packed, some two bytes for each: the first, then the differences, compressed."""
    ordered = sorted(moments_us)
    steps = array("Q", [ordered[0], *(later - earlier for earlier, later in pairwise(ordered))])
    return zlib.compress(steps.tobytes(), 1)


def unpack_moments(packed: bytes) -> list[int]:
    """Return packed moments, in order."""
    steps = array("Q")
    steps.frombytes(zlib.decompress(packed))
    moments, at_us = [], 0
    for step in steps:
        at_us += step
        moments.append(at_us)
    return moments


def read_record(client: redis.Redis, keys: Keys) -> list[Sent]:
    """Return every request of the record, in order."""
    sent: list[Sent] = []
    after = "-"
    while entries := cast(list[tuple[bytes, dict[bytes, bytes]]], client.xrange(keys.flight, after, "+", _READ_BATCH)):
        for _, fields in entries:
            process = fields[b"process"].decode()
            sent += [Sent(at_us, process) for at_us in unpack_moments(fields[b"moments"])]
        after = "(" + entries[-1][0].decode()
    return sorted(sent, key=lambda one: one.at_us)


def in_last_second(moments_us: Sequence[int]) -> Iterator[int]:
    """Yield for each of the ordered moments how many lie in the closed second that ends with it, itself included."""
    oldest = 0
    for index, at_us in enumerate(moments_us):
        while moments_us[oldest] < at_us - WINDOW_US:
            oldest += 1
        yield index - oldest + 1


def write_proof(sent: Sequence[Sent], stream: TextIO) -> int:
    """Write one CSV line per request, with the number sent in the second before it; returns the largest.

    The largest number of the column is the true maximum in any window of one second, and anyone can recount it.
    """
    writer = csv.writer(stream)
    writer.writerow(("sent_at", "sent_at_us", "in_last_second", "process"))
    most = 0
    for one, count in zip(sent, in_last_second([one.at_us for one in sent]), strict=True):
        most = max(most, count)
        moment = datetime.fromtimestamp(one.at_us // WINDOW_US, UTC).replace(microsecond=one.at_us % WINDOW_US)
        writer.writerow((moment.isoformat(timespec="microseconds"), one.at_us, count, one.process))
    return most
