"""Answers what a token may ask about its runs.

A token sees the runs of its namespace that hold specs of its brands, and of their specs those of its brands. A run's
counts cover the whole run: a token that is not for every brand of it gets none. The calls block, and several threads
may make them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import redis

from couponpress.client import Client
from couponpress.gateway.problems import Refusal
from couponpress.gateway.rights import Token
from couponpress.gateway.visibility import Visibility
from couponpress.keys import Keys
from couponpress.ledger.lookup import FindingLedger
from couponpress.ledger.progress import ReadingLedger
from couponpress.metrics.exposition import exposition
from couponpress.outcome import RunStatus, State
from couponpress.results import ResultFormat, result_lines

#: Lines of the results that are sent at a time: some 100 KB.
LINES_AT_ONCE = 500
#: What of a run's progress adds up all of its brands.
COUNTS = ("total", "uploading", *(state.value for state in State), "throttled")


class Queries:
    """The questions of tokens."""

    def __init__(self, client: Client, redis_client: redis.Redis, keys: Keys, visibility: Visibility) -> None:
        self._client = client
        self._visibility = visibility
        self._redis = redis_client
        self._reading = ReadingLedger(redis_client, keys)
        self._finding = FindingLedger(redis_client, keys)

    def ping(self) -> None:
        """Ask Redis for a sign of life."""
        self._redis.ping()

    def metrics(self, token: Token) -> bytes:
        """Return the whole fleet's metrics for Prometheus.

        Raises:
            Refusal: the token is not for every brand; the metrics tell of all of them.
        """
        if token.brands is not None:
            raise Refusal("brand-not-allowed", "metrics tell of every brand; your token is for some of them only")
        return exposition(self._client)

    def runs(self, token: Token, most: int) -> list[dict[str, Any]]:
        """Return the youngest runs that the token sees, the youngest first."""
        shown: list[dict[str, Any]] = []
        for number in self._finding.run_numbers(token.prefix):
            if len(shown) == most:
                break
            status = self._reading.status(number)
            if status.run and self._visibility.sees(token, status.run):
                shown.append(self._shown(token, status))
        return shown

    def run(self, token: Token, run: str) -> dict[str, Any]:
        """Return a run's progress and the reasons of its failed specs.

        Raises:
            UnknownRunError: the token sees no run of that name.
        """
        stored = self._visibility.run(token, run)
        whole = self._visibility.sees_whole(token, stored)
        reasons = self._client.reasons(stored) if whole else None
        return self._shown(token, self._client.run(stored)) | {"reasons": reasons}

    def results(self, token: Token, run: str, format_name: ResultFormat) -> Iterator[bytes]:
        """Return the run's results in blocks of lines, those of the token's brands; raises as `run`, and at once."""
        stored = self._visibility.run(token, run)
        self._client.run(stored)
        outcomes = (line for line in self._client.outcomes(stored) if token.may_use(line.brand_id))
        lines = result_lines(outcomes, format_name)
        return iter(lambda: "".join(islice(lines, LINES_AT_ONCE)).encode(), b"")

    def spec(self, token: Token, task_id: str) -> dict[str, Any]:
        """Return what is known of one spec.

        Raises:
            Refusal: the spec does not exist, or the token may not see it.
        """
        found = self._finding.spec(task_id)
        run = None if found is None else token.shown_name(found.run)
        if found is None or run is None or not token.may_use(found.line.brand_id):
            raise Refusal("no-such-spec", "your token sees no spec of that task_id")
        told = {"run": run, "state": found.state.value, **asdict(found.line), "body": found.body}
        told |= {"due": found.due, "paused_until": found.paused_until, "older_events": found.older_events}
        return told | {"events": [asdict(event) for event in found.events]}

    def _shown(self, token: Token, status: RunStatus) -> dict[str, Any]:
        shown = asdict(status) | {"run": token.shown_name(status.run), "finished": status.finished}
        del shown["hook_trouble"]  # the operator's, not the shop's
        if not self._visibility.sees_whole(token, status.run):
            shown |= dict.fromkeys(COUNTS)
        return shown
