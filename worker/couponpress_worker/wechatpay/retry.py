"""When to try again: every schedule, the jitter and `Retry-After`, in this one file (pure).

To change how a 5xx, a missing answer or a 429 is retried, change this file and no other. What an answer means is
decided in `judgement`; when the whole platform counts as down, in `safety.breaker`.

A retry sends the same bytes under a fresh signature. The platform knows a task by its id, so a retry makes no second
task.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

#: Seconds to wait after the first, second, ... try. After the try behind the last one the spec is queried instead.
RETRY_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
MAX_TRIES: Final = len(RETRY_DELAYS_SECONDS) + 1
#: A platform that answers queries is up again. So a spec whose tries all fell into an outage, and which the platform
#: does not know, gets a few more tries, each followed by a query. Seconds after the query that did not find it.
LAST_DELAYS_SECONDS: Final = (1.0, 30.0, 60.0)
#: Each delay is spread by this share of itself to either side, so that a fleet does not come back at one moment.
_SPREAD: Final = 0.2
#: A 5xx may ask for a longer wait by `Retry-After`. More than this is not waited for a single spec.
LONGEST_RETRY_AFTER_SECONDS: Final = 300.0

#: How long a process sends nothing after a 429, when the answer names no time and the fleet's pace cannot be told.
THROTTLE_PAUSE_SECONDS: Final = 1.0
#: A 429 that asks for a longer pause than this is tried again after it.
LONGEST_THROTTLE_PAUSE_SECONDS: Final = 3600.0

#: A query that taught nothing is repeated after this time, so that the queries behind it get their turn.
QUERY_AGAIN_SECONDS: Final = 10.0


def retry_delay_seconds(tries: int, jitter: float, retry_after_seconds: float | None = None) -> float | None:
    """Return how long to wait before the next try, in seconds, or None when no try is left.

    Args:
        tries: how many tries were spent, at least 1.
        jitter: evenly drawn from [0, 1) by the caller.
        retry_after_seconds: what the answer's `Retry-After` asks for. It can lengthen the delay, up to
            LONGEST_RETRY_AFTER_SECONDS, and never shortens it.
    """
    if tries >= MAX_TRIES:
        return None
    delay = RETRY_DELAYS_SECONDS[max(tries, 1) - 1]
    asked = min(retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)
    if asked > delay:
        return asked * (1 + 2 * _SPREAD * jitter)  # spread to one side: never before the moment that was named
    return delay * (1 - _SPREAD + 2 * _SPREAD * jitter)


def delay_after_unknown_seconds(tries: int) -> float | None:
    """Return how long to wait before a spec is sent again that a query did not find; None when no try is left.

    Args:
        tries: how many tries were spent, at least 1.
    """
    if tries < MAX_TRIES:
        return retry_delay_seconds(tries, 0.5)
    last = tries - MAX_TRIES
    return LAST_DELAYS_SECONDS[last] if last < len(LAST_DELAYS_SECONDS) else None


def throttle_pause_seconds(retry_after_seconds: float | None) -> float:
    """Return how long a process without a shared pace sends nothing after a 429, in seconds."""
    if retry_after_seconds is None:
        return THROTTLE_PAUSE_SECONDS
    return min(retry_after_seconds, LONGEST_THROTTLE_PAUSE_SECONDS)


def read_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, None for none and for nonsense.

    The header holds seconds or an HTTP date (RFC 9110 10.2.3). `now` is in seconds since 1970.
    """
    if value is None:
        return None
    seconds = whole_seconds(value)
    if seconds is None and (moment := http_date(value)) is not None:
        seconds = max(moment - now, 0.0)
    return seconds


def whole_seconds(digits: str) -> float | None:
    """Return a number of seconds as headers write it, None for anything else."""
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None


def http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110 5.6.7) in seconds since 1970, None when it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
