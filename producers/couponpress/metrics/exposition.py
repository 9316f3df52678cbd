"""What GET /metrics answers: the whole fleet, read when Prometheus scrapes and at no other time.

A custom collector of the library prometheus-client: it counts nothing itself and draws on the overview, so one process
tells of all others. While Redis is away a scrape still answers, with `couponpress_redis_up 0` alone: so an alert can
tell a Redis that is away from a metrics service that is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from couponpress.client import Client
from couponpress.errors import RedisUnavailableError
from couponpress.metrics.families import families_of, redis_up

log = logging.getLogger(__name__)

#: What the text is, for the answer's header. Prometheus, VictoriaMetrics, Grafana Agent and Datadog all read it.
MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class FleetCollector(Collector):
    """Collects the metrics of the whole fleet over a client; for several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def collect(self) -> Iterator[Metric]:
        """Yield every family; blocks while Redis is read."""
        client = self._client
        try:
            overview, durations, acts = client.overview(), client.request_durations(), client.acts_noted()
        except RedisUnavailableError as error:
            log.warning("a scrape found no Redis: %s", error)
            yield redis_up(up=False)
        else:
            yield from families_of(overview, durations, acts)


def exposition(client: Client) -> bytes:
    """Return all metrics as text. Blocks while Redis is read; for several threads."""
    return generate_latest(FleetCollector(client))
