"""Publishes hints for chunks that a worker had in hand before."""

from __future__ import annotations

import asyncio

import redis.exceptions
from celery import Celery

from couponpress.transport.hints import publish


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
