"""Refuses a request when too much waits already, or when its token's quota is used up."""

from __future__ import annotations

import time
from collections.abc import Sequence

from couponpress.gateway.problems import Refusal
from couponpress.gateway.quotas import AdmittingLedger, KeyedRequest
from couponpress.gateway.tokens import Token

#: The backlog is counted at most so often; what this gateway enqueued since is added.
COUNT_EVERY_SECONDS = 1.0
#: A backlog shrinks by some 500 specs a second at best.
BACKLOG_RETRY_SECONDS = 30

KEY_REUSED = "this Idempotency-Key came with another request within the last day"


class Admission:
    """Says whether specs may come in; for several threads."""

    def __init__(self, ledger: AdmittingLedger, backlog_limit: int) -> None:
        self._ledger = ledger
        self._backlog_limit = backlog_limit
        self._backlog = 0
        self._counted_at = float("-inf")

    def check_backlog(self) -> None:
        """Refuse when more specs wait than may.

        Raises:
            Refusal: too many do.
        """
        if time.monotonic() - self._counted_at >= COUNT_EVERY_SECONDS:
            self._backlog = self._ledger.backlog()
            self._counted_at = time.monotonic()
        if self._backlog >= self._backlog_limit:
            detail = f"{self._backlog} specs wait to be submitted; the bound is {self._backlog_limit}"
            raise Refusal("backlog-full", detail, retry_after_seconds=BACKLOG_RETRY_SECONDS)

    def enqueued(self, specs: int) -> None:
        """Count what came in since the backlog was counted."""
        self._backlog += specs

    def claim(self, requests: Sequence[KeyedRequest]) -> list[bytes | None]:
        """Claim Idempotency-Keys; see `AdmittingLedger.claim`."""
        return self._ledger.claim(requests) if requests else []

    def settle(self, answered: Sequence[tuple[KeyedRequest, bytes | None]]) -> list[bytes | None]:
        """Keep answers, or give claims up; see `AdmittingLedger.settle`."""
        return self._ledger.settle(answered) if answered else []

    def meter(self, token: Token) -> QuotaMeter:
        """Return what counts a token's specs for one call."""
        return QuotaMeter(self._ledger, token)


class QuotaMeter:
    """Takes a token's specs out of its quota, and gives back what was not enqueued."""

    def __init__(self, ledger: AdmittingLedger, token: Token) -> None:
        self._ledger = ledger
        self._token = token
        self._taken = 0
        self._day = ""

    def take(self, specs: int) -> int:
        """Take so many specs; returns how many there were."""
        if self._token.quota is None:
            return specs
        taken = self._ledger.take_quota(self._token.name, specs, self._token.quota)
        self._taken, self._day = taken.specs, taken.day
        return taken.specs

    def used_up(self) -> Refusal:
        """Return the refusal, with the time until the next day."""
        quota = self._token.quota or 0
        left = self._ledger.take_quota(self._token.name, 0, quota).seconds
        detail = f"token {self._token.name} may enqueue {quota} specs a day, and fewer are left than were asked for"
        return Refusal("quota-used-up", detail, retry_after_seconds=left)

    def settle(self, enqueued: int) -> None:
        """Give back all but what was enqueued."""
        if self._taken:
            self._ledger.give_back_quota(self._token.name, self._taken - enqueued, self._day)
            self._taken = 0
