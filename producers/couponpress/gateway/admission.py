"""Refuses a request when the backlog is too large, or when its token's quota is used up."""

from __future__ import annotations

import time
from collections.abc import Sequence

from couponpress.gateway.problems import Refusal
from couponpress.gateway.quotas import AdmittingLedger, KeyedRequest
from couponpress.gateway.rights import Token
from couponpress.plurals import counted

#: The backlog is counted at most this often. In between, what this gateway enqueued is added.
COUNT_EVERY_SECONDS = 1.0
#: A backlog shrinks by at most about 500 specs a second.
BACKLOG_RETRY_SECONDS = 30

KEY_REUSED = "this Idempotency-Key came with another request within the last day"


class Admission:
    """Decides whether specs may be enqueued. Several threads may use it."""

    def __init__(self, ledger: AdmittingLedger, backlog_limit: int) -> None:
        self._ledger = ledger
        self._backlog_limit = backlog_limit
        self._backlog = 0
        self._counted_at = float("-inf")

    def check_backlog(self) -> None:
        """Refuse when too many specs wait.

        Raises:
            Refusal: the backlog is too large.
        """
        if time.monotonic() - self._counted_at >= COUNT_EVERY_SECONDS:
            self._backlog = self._ledger.backlog()
            self._counted_at = time.monotonic()
        if self._backlog >= self._backlog_limit:
            waiting = counted(self._backlog, "spec waits", "specs wait")
            detail = f"{waiting} to be submitted; the bound is {self._backlog_limit}"
            raise Refusal("backlog-full", detail, retry_after_seconds=BACKLOG_RETRY_SECONDS)

    def enqueued(self, specs: int) -> None:
        """Add specs that were enqueued since the backlog was counted."""
        self._backlog += specs

    def claim(self, requests: Sequence[KeyedRequest]) -> list[bytes | None]:
        """Claim Idempotency-Keys; see `AdmittingLedger.claim`."""
        return self._ledger.claim(requests) if requests else []

    def settle(self, answered: Sequence[tuple[KeyedRequest, bytes | None]]) -> list[bytes | None]:
        """Keep answers, or release claims; see `AdmittingLedger.settle`."""
        return self._ledger.settle(answered) if answered else []

    def meter(self, token: Token) -> QuotaMeter:
        """Return the quota of a token, for the specs of one call."""
        return QuotaMeter(self._ledger, token)


class QuotaMeter:
    """Subtracts a token's specs from its quota, and adds back those that were not enqueued."""

    def __init__(self, ledger: AdmittingLedger, token: Token) -> None:
        self._ledger = ledger
        self._token = token
        self._taken = 0
        self._day = ""

    def take(self, specs: int) -> int:
        """Subtract this many specs. Returns how many the quota still had."""
        if self._token.quota is None:
            return specs
        taken = self._ledger.take_quota(self._token.name, specs, self._token.quota)
        self._taken, self._day = taken.specs, taken.day
        return taken.specs

    def used_up(self) -> Refusal:
        """Return the refusal, with the time until the next day."""
        quota = self._token.quota or 0
        left = self._ledger.take_quota(self._token.name, 0, quota).seconds
        most = counted(quota, "spec")
        detail = f"token {self._token.name} may enqueue {most} a day, and fewer are left than were asked for"
        return Refusal("quota-used-up", detail, retry_after_seconds=left)

    def settle(self, enqueued: int) -> None:
        """Add back all specs but those that were enqueued."""
        if self._taken:
            self._ledger.give_back_quota(self._token.name, self._taken - enqueued, self._day)
            self._taken = 0
