"""Publishes hints: Celery messages that tell the fleet which chunks to look at.

This is the only place where producers use Celery, and the first hint imports it: commands that publish none start
sooner. A hint carries the id of a chunk. A lost, doubled or late hint changes nothing, because the fleet reads the
chunk itself from Redis.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Any

from couponpress.keys import SUBMIT_TASK, Keys, lane_of, queue_name
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.transport.redis_address import RedisAddress

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Producer
    from kombu.pools import ProducerPool

log = logging.getLogger(__name__)

#: How many threads of a client may publish at once; another one waits for a moment.
_CONNECTIONS = 10


class Hints:
    """Publishes hints. Opens its connections when first needed; safe to share between threads, not across a fork."""

    def __init__(self, address: RedisAddress, keys: Keys) -> None:
        self._address = address
        self._keys = keys
        self._opened: tuple[Celery, ProducerPool] | None = None
        self._opening = Lock()

    def close(self) -> None:
        """Close every connection."""
        if self._opened is not None:
            celery, producers = self._opened
            producers.connections.force_close_all(close_pool=False)
            celery.close()

    def announce(self, chunk_ids: list[str], *, again: bool = False) -> None:
        """Publish a hint per stored chunk; `again`: before those of the bulk chunks that nobody had in hand yet.

        Without an answer of Redis it is no failure: the fleet finds the chunks by itself.
        """
        import kombu.exceptions

        try:
            self._publish(chunk_ids, again=again)
        except (*REDIS_AWAY, kombu.exceptions.KombuError) as error:
            log.warning("the fleet could not be told of %d chunks and will find them: %s", len(chunk_ids), error)

    def _publish(self, chunk_ids: list[str], *, again: bool) -> None:
        """Publish many in one round trip."""
        celery, producers = self._own()
        acquired: Any = producers.acquire(block=True)  # its types know no `batch`
        with acquired as producer, producer.batch():
            for chunk_id in chunk_ids:
                lane = lane_of(chunk_id)
                queue = self._keys.queue_again if again and lane == "bulk" else self._keys.queue(lane)
                publish(celery, producer, queue_name(self._keys, queue), chunk_id)

    def _own(self) -> tuple[Celery, ProducerPool]:
        """Return this object's own; Celery's pools belong to every app of the process, so nobody could close them."""
        from celery import Celery
        from kombu.pools import ProducerPool

        from couponpress.transport.broker import broker_settings

        with self._opening:
            if self._opened is None:
                celery = Celery("couponpress", set_as_current=False)
                celery.conf.update(broker_settings(self._address, self._keys))
                connections = celery.connection_for_write().Pool(_CONNECTIONS)
                self._opened = celery, ProducerPool(connections, limit=_CONNECTIONS)
            return self._opened


def publish(celery: Celery, producer: Producer, queue: str, chunk_id: str) -> None:
    """Publish a chunk's hint straight to a queue: no exchange is declared for it, and no binding is stored."""
    from kombu.utils.uuid import uuid

    # Not send_task: it subscribes to each result, for which nobody waits, and tries for 19 s while Redis is away.
    message = celery.amqp.create_task_message(
        uuid(), SUBMIT_TASK, args=[chunk_id], argsrepr=repr([chunk_id]), kwargsrepr="{}"
    )
    celery.amqp.send_task_message(
        producer, SUBMIT_TASK, message, queue=queue, exchange="", routing_key=queue, declare=[]
    )
