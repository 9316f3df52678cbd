"""Decides whether a request may enqueue: by its token's quota, its Idempotency-Key and the backlog.

A quota counts the specs of one day. A reply that is lost may cost a token a few specs of its quota; it never gives
the token more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import redis

from couponpress.keys import Keys
from couponpress.ledger.scripts import ALLOW_OOM, script

#: How long an Idempotency-Key is remembered, seconds.
KEY_SECONDS = 86400
#: A quota's day begins at midnight in China, which is so many seconds before UTC's.
DAY_BEGINS_BEFORE_UTC_SECONDS = 8 * 3600

#: The states in which a spec still waits to be accepted, and what an unfinished upload has stored.
_WAITING = ("waiting", "retrying", "looking", "paused", "uploading")


@dataclass(frozen=True, slots=True)
class Taken:
    """What was subtracted from a quota.

    Attributes:
        specs: how many; fewer than asked for when no more are left.
        seconds: until the next day begins.
        day: the day whose quota they came from.
    """

    specs: int
    seconds: int
    day: str


class KeyedRequest(NamedTuple):
    """A request with an Idempotency-Key: its token, the key, and a digest of its content."""

    token: str
    key: str
    digest: bytes

    @property
    def place(self) -> str:
        """The digest under which the key is remembered: 128 bits, because callers choose keys."""
        return hashlib.sha256(f"{self.token} {self.key}".encode()).hexdigest()[:32]


class AdmittingLedger:
    """Reads and writes quotas, Idempotency-Keys and the backlog, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._take_quota = client.register_script(script("take_quota", "couponpress.gateway"))
        # On a full server an answer can still be kept, and a claim released.
        self._remember = client.register_script(ALLOW_OOM + script("remember_answer", "couponpress.gateway"))

    def take_quota(self, token: str, specs: int, quota: int) -> Taken:
        """Subtract up to this many specs from a token's quota of today."""
        taken, seconds, day = self._call_quota(token, specs, quota, "")
        return Taken(taken, seconds, day.decode())

    def give_back_quota(self, token: str, specs: int, day: str) -> None:
        """Add back what was subtracted on a day and not used. Those of an earlier day expire."""
        if specs:
            self._call_quota(token, -specs, 0, day)

    def _call_quota(self, token: str, specs: int, quota: int, day: str) -> tuple[int, int, bytes]:
        values: list[str | int] = [specs, quota, DAY_BEGINS_BEFORE_UTC_SECONDS, day]
        return cast(tuple[int, int, bytes], self._take_quota([self._keys.quota(token)], values))

    def claim(self, requests: Sequence[KeyedRequest]) -> list[bytes | None]:
        """Claim the keys of requests. Returns for each the earlier answer, b"" if none, None if another request's."""
        return self._call_remember([(request, "claim", b"") for request in requests])

    def settle(self, answered: Sequence[tuple[KeyedRequest, bytes | None]]) -> list[bytes | None]:
        """Keep the answers of requests, the first of each. None as the answer releases the claim.

        Returns for each the answer that was kept first, which is the one to give; None or b"" when none is.
        """
        return self._call_remember(
            [(request, "release" if answer is None else "answer", answer or b"") for request, answer in answered]
        )

    def _call_remember(
        self, acts: Sequence[tuple[KeyedRequest, Literal["claim", "answer", "release"], bytes]]
    ) -> list[bytes | None]:
        with self._client.pipeline(transaction=False) as pipeline:
            for request, act, answer in acts:
                values: list[str | int | bytes] = [request.digest, act, answer, KEY_SECONDS]
                self._remember([self._keys.idempotency(request.place)], values, pipeline)
            replies = cast(list[tuple[int, bytes]], pipeline.execute())
        return [answer if own else None for own, answer in replies]

    def backlog(self) -> int:
        """Return how many specs of all runs wait to be accepted, including those of unfinished uploads."""
        numbers = cast(list[bytes], self._client.zdiff([self._keys.runs, self._keys.finished]))
        with self._client.pipeline(transaction=False) as pipeline:
            for number in numbers:
                pipeline.hmget(self._keys.run(number.decode()), list(_WAITING))
            counts = cast(list[list[bytes | None]], pipeline.execute())
        return sum(int(count or 0) for of_run in counts for count in of_run)
