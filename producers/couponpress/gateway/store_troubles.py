"""Writes to the log that Redis is away or refuses what requests need, once a minute for each kind of trouble.

Callers get 503 and send again, many times a second perhaps; the operator needs one line with the cure. The next line
of the same kind says how many requests failed in between. For the thread of the event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis

from couponpress.errors import RedisFullError, RedisRefusedError, RedisUnavailableError
from couponpress.gateway.problems import Refusal
from couponpress.plurals import counted
from couponpress.transport.redis_refusals import redis_unavailable

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0


class StoreTroubles:
    """What was written of each kind, and when.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def note(self, error: Exception) -> None:
        """Write a line for a request that failed by Redis, or count it; other errors are not looked at."""
        found = _kind_of(error)
        if found is None:
            return
        kind, sentence = found
        now = self._clock()
        if now - self._told_at.get(kind, float("-inf")) < EVERY_SECONDS:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._told_at[kind] = now
        left_out = self._left_out.pop(kind, 0)
        more = f" ({counted(left_out, 'request')} more failed so since the last line)" if left_out else ""
        log.warning("a request failed: %s%s", sentence, more)


def _kind_of(error: Exception) -> tuple[str, str] | None:
    """Return the kind of trouble with Redis that an error is, and its sentence; None for any other error."""
    if isinstance(error, Refusal):
        return (error.kind, error.detail) if error.kind in {"redis-away", "redis-full"} else None
    told = redis_unavailable("COUPONPRESS_REDIS_URL", error) if isinstance(error, redis.RedisError) else error
    if isinstance(told, RedisFullError):
        return "redis-full", str(told)
    if isinstance(told, RedisRefusedError):
        return told.cure, str(told)
    return ("redis-away", str(told)) if isinstance(told, RedisUnavailableError) else None


#: Of this process.
store_troubles = StoreTroubles()
