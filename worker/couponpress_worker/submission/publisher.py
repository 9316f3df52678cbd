"""Publishes hints for chunks that a worker had in hand before, through Celery, which a worker has loaded anyway.

A producer writes the same message by itself; see `couponpress.transport.hints`.
"""

from __future__ import annotations

import asyncio

import redis.exceptions
from celery import Celery
from kombu import Producer
from kombu.utils.uuid import uuid

from couponpress.keys import SUBMIT_TASK


class Publisher:
    """Publishes hints through a Celery app, to the queue of chunks that were in hand before."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    async def publish_again(self, chunk_ids: list[str]) -> None:
        """Publish a hint for chunks that were in hand before.

        Raises:
            redis.exceptions.ConnectionError: the hints may be lost; the chunks are found again by `recovery`.
        """
        if chunk_ids:
            try:
                await asyncio.to_thread(self._publish, chunk_ids)
            except Exception as error:  # one that breaks while kombu uses it shows as an AttributeError, among others
                raise redis.exceptions.ConnectionError(f"hints could not be published: {error}") from error

    def _publish(self, chunk_ids: list[str]) -> None:
        queue = self._app.conf.task_queues[1].name
        with self._app.producer_or_acquire() as producer, producer.batch():
            for chunk_id in chunk_ids:
                publish(self._app, producer, queue, chunk_id)


def publish(celery: Celery, producer: Producer, queue: str, chunk_id: str) -> None:
    """Publish a chunk's hint straight to a queue: no exchange is declared for it, and no binding is stored."""
    # Not send_task: it subscribes to each result, for which nobody waits, and tries for 19 s while Redis is away.
    message = celery.amqp.create_task_message(
        uuid(), SUBMIT_TASK, args=[chunk_id], argsrepr=repr([chunk_id]), kwargsrepr="{}"
    )
    celery.amqp.send_task_message(
        producer, SUBMIT_TASK, message, queue=queue, exchange="", routing_key=queue, declare=[]
    )
