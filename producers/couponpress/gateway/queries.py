"""Answers requests about runs and specs, and cancels, pauses and resumes runs.

A token sees the runs of its namespace, and in them the specs of its brands. A run's counts cover the whole run, and so
does an action on a run. The calls block; several threads may make them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import redis

from couponpress.client import Client
from couponpress.gateway.problems import Refusal
from couponpress.gateway.tokens import Token
from couponpress.keys import Keys
from couponpress.ledger.attribution import Actor
from couponpress.ledger.lookup import FindingLedger
from couponpress.ledger.progress import ReadingLedger
from couponpress.metrics.exposition import exposition
from couponpress.outcome import RunStatus
from couponpress.results import ResultFormat, result_lines

#: Lines of the results that are sent at a time: some 100 KB.
LINES_AT_ONCE = 500


class Queries:
    """What the holder of a token may ask and do."""

    def __init__(self, client: Client, redis_client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._redis = redis_client
        self._reading = ReadingLedger(redis_client, keys)
        self._finding = FindingLedger(redis_client, keys)

    def ping(self) -> None:
        """Ask Redis for a sign of life."""
        self._redis.ping()

    def metrics(self, token: Token) -> str:
        """Return the whole fleet's metrics for Prometheus.

        Raises:
            Refusal: the token is not for every brand; the metrics tell of all of them.
        """
        if token.brands is not None:
            raise Refusal("brand-not-allowed", "metrics tell of every brand; your token is for some of them only")
        return exposition(self._client)

    def runs(self, token: Token, most: int) -> list[dict[str, Any]]:
        """Return the newest runs of the token's namespace, the newest first."""
        statuses = [self._reading.status(number) for number in self._finding.run_numbers(token.prefix, most)]
        return [_shown(token, status) for status in statuses if status.run]

    def run(self, token: Token, run: str) -> dict[str, Any]:
        """Return a run's progress and the reasons of its failed specs.

        Raises:
            UnknownRunError: the token sees no run of that name.
        """
        stored = token.stored_name(run)
        return _shown(token, self._client.run(stored)) | {"reasons": self._client.reasons(stored)}

    def results(self, token: Token, run: str, format_name: ResultFormat) -> Iterator[bytes]:
        """Return the results of the token's brands in a run, in blocks of lines. Raises at once what `run` raises."""
        stored = token.stored_name(run)
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
        return {"run": run, "state": found.state.value, **asdict(found.line)}

    def cancel(self, token: Token, run: str) -> int:
        """Cancel the specs that the platform has not accepted. Returns how many."""
        return self._client.cancel(token.stored_name(run))

    def pause(self, token: Token, run: str) -> bool:
        """Hold a run. Returns False if it was held already."""
        return self._client.acting_as(Actor("gateway", token.name)).pause(token.stored_name(run))

    def resume(self, token: Token, run: str) -> bool:
        """Release a run. Returns False if it was not held."""
        return self._client.resume(token.stored_name(run))


def _shown(token: Token, status: RunStatus) -> dict[str, Any]:
    shown = asdict(status) | {"run": token.shown_name(status.run), "finished": status.finished}
    del shown["hook_trouble"]  # for the operator only
    return shown
