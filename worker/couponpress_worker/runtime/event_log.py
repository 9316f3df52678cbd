"""Writes the log lines of what happens to a process as a whole: holds, Redis away and back, the platform down and up.

Single requests and specs have no line of their own here: at hundreds a second nobody reads them. Of requests that the
platform refused or did not answer, one of each kind has a line every ten seconds, with its Request-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from couponpress_worker.completion.sparse_log import SparseLog
from couponpress_worker.events import (
    Answered,
    BreakerClosed,
    BreakerOpened,
    Events,
    Held,
    RedisAway,
    RedisBack,
    Released,
)
from couponpress_worker.runtime.factories import traces_of
from couponpress_worker.settings import Settings
from couponpress_worker.wechatpay.judgement import Answer

log = logging.getLogger(__name__)


def log_events(events: Events) -> None:
    """Write a line for each of these events from now on."""
    events.listen(Answered, partial(_answered, SparseLog(log)))
    events.listen(RedisAway, _redis_away)
    events.listen(RedisBack, _redis_back)
    events.listen(Held, _held)
    events.listen(Released, _released)
    events.listen(BreakerOpened, _breaker_opened)
    events.listen(BreakerClosed, _breaker_closed)


def log_and_trace(settings: Settings, role: str, events: Events) -> Callable[[], None]:
    """Write the log lines, and send traces where they are wanted; returns what ends the traces.

    Raises:
        ServiceError: OpenTelemetry is not installed.
    """
    log_events(events)
    return traces_of(settings, role, events)


def _answered(sparse: SparseLog, event: Answered[Any]) -> None:
    if event.kind != "submit" or 0 < event.status < 400:  # whoever makes other calls tells of them
        return
    if isinstance(event.answer, Answer):
        message = " ".join(event.answer.message.split())[:200]
        what = f"answered with {event.status} {event.code}: {message} (Request-ID {event.request_id or 'none'})"
    else:
        what = f"without an answer: {event.answer.what}"
    sparse.write(f"{event.kind} {event.status} {event.error}", logging.INFO, "%s %s", event.kind, what)


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
