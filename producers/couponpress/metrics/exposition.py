"""What GET /metrics answers: the whole fleet, read when Prometheus scrapes and at no other time.

While Redis is away a scrape still answers, with `couponpress_redis_up 0` alone: so an alert can tell a Redis that is
away from a metrics service that is.
"""

from __future__ import annotations

import logging

from couponpress.client import Client
from couponpress.errors import RedisUnavailableError
from couponpress.metrics.families import families_of, redis_up
from couponpress.metrics.text_format import text_of

log = logging.getLogger(__name__)


def exposition(client: Client) -> str:
    """Return all metrics as text. Blocks while Redis is read; for several threads."""
    try:
        overview, durations, acts = client.overview(), client.request_durations(), client.acts_noted()
    except RedisUnavailableError as error:
        log.warning("a scrape found no Redis: %s", error)
        return text_of([redis_up(up=False)])
    return text_of(families_of(overview, durations, acts))
