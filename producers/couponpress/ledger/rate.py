"""Reads and sets the rate of the running fleet.

A rate that is set by hand replaces the configured rate, lower or higher. All workers follow it from the next slot on
and across restarts, until it is taken back or until the end that was given with it. The fleet writes the rest of the
record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import redis

from couponpress.errors import InputError
from couponpress.keys import Keys
from couponpress.language import gettext, quoted
from couponpress.ledger.attribution import Attribution, this_user
from couponpress.ledger.audit import Act, AuditLog

#: How many submits a second the platform grants a partner, by its pages.
PLATFORM_PER_SECOND = 500
_SECOND_US = 1_000_000
#: The latest slots tell the effective rate while they are not further off than this from the rate in force: the
#: lateness budget costs up to a fifth of it, and slots of a rate that was changed since tell nothing.
_OF_THE_RATE_IN_FORCE = 0.8
_WINDOWS_US = {"second": _SECOND_US, "minute": 60 * _SECOND_US}


@dataclass(frozen=True, slots=True)
class RateInForce:
    """At which rate the fleet submits, and why.

    Attributes:
        configured: COUPONPRESS_RATE of the worker that told it last; empty while none has.
        by_hand: the rate that was set by hand; empty if none is.
        by_hand_since: since when, seconds since 1970; 0 if none is.
        found: how many requests a second the platform was found to allow, if it refused more; else None.
        found_since: since when the rate is lowered because of that, seconds since 1970; 0 if it is not.
        held_seconds: for how long no more than that is tried.
        quiet_seconds: for how long nothing is sent, because the platform asked for it or its window must empty.
        slots_per_second: how close to each other the latest slots were; None while none was given.
        by_hand_until: when the rate that was set by hand ends, seconds since 1970; None: when it is taken back.
    """

    configured: str
    by_hand: str
    by_hand_since: float
    found: int | None
    found_since: float
    held_seconds: float
    quiet_seconds: float
    slots_per_second: float | None
    by_hand_until: float | None = None

    @property
    def in_force(self) -> str:
        """The rate to which slots are given now; empty while nobody has told one."""
        chosen = self.by_hand or self.configured
        if self.found is None or (chosen and per_second(chosen) <= self.found):
            return chosen
        return f"{self.found}/second"

    @property
    def effective_per_second(self) -> float | None:
        """How many specs a second really leave at the rate in force; None while nobody has told it."""
        if not self.in_force:
            return None
        rate, slots = per_second(self.in_force), self.slots_per_second
        return slots if slots is not None and rate * _OF_THE_RATE_IN_FORCE <= slots <= rate else rate

    @property
    def why(self) -> str:
        """Where the rate in force comes from."""
        if self.in_force != (self.by_hand or self.configured):
            return "throttled"
        return "by hand" if self.by_hand else "configured"


def per_second(rate: str) -> float:
    """Return how many a second a rate means.

    Raises:
        InputError: it is no rate.
    """
    amount, window_us = _parts(rate)
    return amount * _SECOND_US / window_us


class PacingLedger:
    """One bucket's pace, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys, bucket: str = "submit", audit: AuditLog | None = None) -> None:
        self._client = client
        self._audit = audit or AuditLog(client, keys)
        self._pace, self._bucket = keys.pace(bucket), keys.bucket(bucket)

    def rate(self) -> RateInForce:
        """Return the rate in force, and why it is that."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hgetall(self._pace)
            pipe.hget(self._bucket, "spacing")
            (seconds, micros), stored, spacing = pipe.execute()
        return rate_in_force(cast(dict[bytes, bytes], stored), spacing, seconds * _SECOND_US + micros)

    def set_rate(self, rate: str | None, *, until: float | None = None, by: Attribution | None = None) -> None:
        """Set the rate by hand, or with None go back to the configured one; either forgets what was found.

        Args:
            rate: the rate.
            until: when the configured rate is in force again, seconds since 1970 on Redis's clock; None: when it is
                taken back.
            by: who does it, and why; None: the user of this machine.

        Raises:
            InputError: it is no rate.
        """
        amount, window_us = (None, None) if rate is None else _parts(rate)
        seconds, micros = self._client.time()
        ends = "" if until is None else datetime.fromtimestamp(until).astimezone().isoformat(" ", "seconds")
        detail = (rate or "default") + (f" until {ends}" if ends else "")
        with self._client.pipeline() as pipe:
            pipe.hdel(self._pace, "amount", "window", "by_hand", "by_hand_until", "limit", "since", "hold", "quiet")
            if amount is not None:
                by_hand = seconds * _SECOND_US + micros
                pipe.hset(self._pace, mapping={"amount": amount, "window": cast(int, window_us), "by_hand": by_hand})
                if until is not None:
                    pipe.hset(self._pace, "by_hand_until", int(until * _SECOND_US))
            self._audit.add(Act("limit", by or Attribution(this_user("client")), detail=detail), "done", pipe)
            pipe.execute()


def rate_in_force(pace: dict[bytes, bytes], spacing: bytes | None, now_us: int) -> RateInForce:
    """Return the rate in force, from a bucket's pace and its latest spacing as they are stored."""
    told = {name.decode(): value.decode() for name, value in pace.items()}

    def since(name: str) -> float:
        return int(told.get(name, 0)) / _SECOND_US

    by_hand = ""
    ends_us = int(told.get("by_hand_until", 0))
    if "amount" in told and not 0 < ends_us <= now_us:
        unit = {window_us: unit for unit, window_us in _WINDOWS_US.items()}[int(told["window"])]
        by_hand = f"{told['amount']}/{unit}"
    found = int(told["limit"]) if "limit" in told else None
    return RateInForce(
        configured=told.get("configured", ""),
        by_hand=by_hand,
        by_hand_since=since("by_hand") if by_hand else 0.0,
        by_hand_until=ends_us / _SECOND_US if by_hand and ends_us else None,
        found=found,
        found_since=0.0 if found is None else since("since"),
        held_seconds=0.0 if found is None else max(since("hold") - now_us / _SECOND_US, 0.0),
        quiet_seconds=max(since("quiet") - now_us / _SECOND_US, 0.0),
        slots_per_second=_SECOND_US / int(spacing) if spacing else None,
    )


def _parts(rate: str) -> tuple[int, int]:
    if not (found := re.fullmatch(r"([1-9]\d{0,5})/(second|minute)", rate)):
        raise InputError(
            gettext(
                'a rate reads like "500/second" or "600/minute", from 1 to 999999, not %(rate)s; `default` takes it '
                "back."
            )
            % {"rate": quoted(rate)}
        )
    return int(found[1]), _WINDOWS_US[found[2]]
