"""Reads an overview from Redis: one pipeline, a few commands for each run shown, none that grows with a run.

A second pipeline follows when a run is seen for the first time, or when many requests left since the last reading. One
reader belongs to one viewer or to one `SharedOverview`; it remembers which runs it shows and what it has read of the
send log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis

from couponpress.keys import Keys
from couponpress.ledger.progress import run_status
from couponpress.ledger.send_log import unpack_moments
from couponpress.overview.answers import RunRecord, Stored, overview_of
from couponpress.overview.questions import (
    LOG_BATCH,
    ask_log,
    ask_runs,
    ask_unfinished,
    questions_of,
)
from couponpress.overview.send_rate import SendRate
from couponpress.overview.snapshot import Overview

#: At most so many runs are shown that are not finished and older than the newest ones.
OLDER_UNFINISHED: Final = 100

#: Which older runs are not finished is asked so often: one that is sent again is shown by then.
LIST_EVERY_SECONDS: Final = 10.0


class OverviewReader:
    """Reads overviews over a blocking client that answers in bytes. Not for several threads at once.

    What costs much to ask is remembered between two readings.
    """

    def __init__(self, client: redis.Redis, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._questions = questions_of(keys)
        self._shown: list[str] = []
        #: Runs that were not finished when it was last looked, the newest first.
        self._unfinished: list[str] = []
        self._listed_at = float("-inf")
        self._server = ""
        self._sent = SendRate()
        self._log_read_to = "-"

    def read(self) -> Overview:
        """Return the fleet as it is now.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        asked, listing = self._shown, self._clock() - self._listed_at >= LIST_EVERY_SECONDS
        with self._client.pipeline(transaction=False) as pipeline:
            for ask in self._questions.values():
                ask(pipeline)
            ask_log(pipeline, self._keys, self._log_read_to)
            ask_runs(pipeline, self._keys, asked)
            if listing:
                ask_unfinished(pipeline, self._keys)
            replies = pipeline.execute()
        told = dict(zip(self._questions, replies, strict=False))
        log, *records = replies[len(told) :]
        if listing:
            self._unfinished = [number.decode() for number in reversed(records.pop())]
            self._listed_at = self._clock()
        runs = _by_number(asked, records)
        self._meet_server(str(told["info"].get("run_id")))
        more_log = self._take_log(log)
        numbers = self._numbers(told, runs)
        new = [number for number in numbers if number not in runs]
        while new or more_log:
            with self._client.pipeline(transaction=False) as pipeline:
                ask_log(pipeline, self._keys, self._log_read_to)
                ask_runs(pipeline, self._keys, new)
                log, *records = pipeline.execute()
            more_log = self._take_log(log)
            runs |= _by_number(new, records)
            new = []
        self._shown = [number for number in numbers if runs[number][0]]
        self._unfinished = [number for number in self._shown if not _finished(number, runs[number])]
        return overview_of(told, {number: runs[number] for number in self._shown}, self._sent)

    def _numbers(self, told: Mapping[str, Any], known: Mapping[str, RunRecord]) -> list[str]:
        """Return the numbers of the runs to show, the newest first."""
        newest = [number.decode() for number in told["newest"]]
        older = [number for number in self._unfinished if number not in set(newest)]
        older = [number for number in older if number not in known or not _finished(number, known[number])]
        numbers = newest + older[:OLDER_UNFINISHED]
        held = [scope.decode().partition(":")[2] for scope in told["holds"] if scope.startswith(b"run:")]
        return numbers + [number for number in held if number not in numbers]

    def _meet_server(self, run_id: str) -> None:
        """Forget what was read of the log of another server: it may have lost the end of it."""
        if self._server and run_id != self._server:
            self._sent, self._log_read_to = SendRate(), "-"
        self._server = run_id

    def _take_log(self, entries: list[tuple[bytes, Stored]]) -> bool:
        """Take entries of the send log; returns whether there may be more."""
        self._sent.add(unpack_moments(stored[b"moments"]) for _, stored in entries)
        if entries:
            self._log_read_to = "(" + entries[-1][0].decode()
        return len(entries) == LOG_BATCH


def _finished(number: str, record: RunRecord) -> bool:
    return run_status(number, record[0], hold=None).finished


def _by_number(numbers: Sequence[str], records: list[Stored]) -> dict[str, RunRecord]:
    return {number: (records[3 * at], records[3 * at + 1], records[3 * at + 2]) for at, number in enumerate(numbers)}
