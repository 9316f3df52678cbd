"""Writes the log lines of what happens to a process as a whole: holds, Redis away and back, the platform down and up.

Single requests and specs have no line of their own here: at hundreds a second nobody reads them.
"""

from __future__ import annotations

import logging

from couponpress_worker.events import BreakerClosed, BreakerOpened, Events, Held, RedisAway, RedisBack, Released

log = logging.getLogger(__name__)


def log_events(events: Events) -> None:
    """Write a line for each of these events from now on."""
    events.listen(RedisAway, _redis_away)
    events.listen(RedisBack, _redis_back)
    events.listen(Held, _held)
    events.listen(Released, _released)
    events.listen(BreakerOpened, _breaker_opened)
    events.listen(BreakerClosed, _breaker_closed)


def _redis_away(event: RedisAway) -> None:
    log.warning("Redis is away (%s): nothing is sent until it is back, and nothing is lost.", event.why)


def _redis_back(event: RedisBack) -> None:
    log.info("Redis is back after %.1f s: sending goes on.", event.seconds)


def _held(event: Held) -> None:
    level = logging.ERROR if event.ours else logging.WARNING
    log.log(level, "submitting is held: %s: %s. Cure: %s", event.shown, event.reason, event.cure)


def _released(event: Released) -> None:
    log.info("submitting goes on: %s", event.shown)


def _breaker_opened(event: BreakerOpened) -> None:
    reason = f"{event.code}: {event.message}"
    log.warning("the platform seems to be down (%s): only probes are sent until it answers", reason)


def _breaker_closed(event: BreakerClosed) -> None:
    log.info("the platform answers again after %.1f s: sending goes on", event.seconds)
