"""Publishes hints: Celery messages that tell the fleet which chunks to look at.

A hint carries the id of a chunk. A lost, doubled or late hint changes nothing, because the fleet reads the chunk itself
from Redis. A hint is written here as Celery's message protocol (version 2, docs.celeryq.dev) and kombu's Redis
transport have it, and goes into the queue's list at once. Most of it is the same in every hint and is written once, so
that a hint takes less than a tenth of the time that Celery takes for it. A producer need not load Celery either, which
takes a fifth of the start of a command. A test compares both messages.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from couponpress.keys import SUBMIT_TASK, Keys, lane_of, queue_name
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.transport.redis_address import RedisAddress

log = logging.getLogger(__name__)

#: As long as for the fleet's own connections to the broker.
_TIMEOUT_SECONDS: Final = 5
#: Begins a place in a hint; no other text of a hint holds it.
_MARK: Final = "<>"


class Hints:
    """Publishes hints. Opens its connections when first needed; safe to share between threads, not across a fork."""

    def __init__(self, address: RedisAddress, keys: Keys) -> None:
        retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), 1, supported_errors=(redis.ConnectionError,))
        timeouts = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS}
        self._broker = address.client(retry=retry, **timeouts)
        self._keys = keys

    def close(self) -> None:
        """Close every connection."""
        self._broker.close()

    def announce(self, chunk_ids: Sequence[str], *, again: bool = False) -> None:
        """Publish a hint per stored chunk; `again`: before those of the bulk chunks that nobody had in hand yet.

        Without an answer of Redis it is no failure: the fleet finds the chunks by itself.
        """
        queues: defaultdict[str, list[str]] = defaultdict(list)  # queue -> its chunks
        for chunk_id in chunk_ids:
            lane = lane_of(chunk_id)
            queue = self._keys.queue_again if again and lane == "bulk" else self._keys.queue(lane)
            queues[queue].append(chunk_id)
        try:
            for queue, of_queue in queues.items():
                self._broker.lpush(queue, *hints(queue_name(self._keys, queue), of_queue))
        except (*REDIS_AWAY, redis.ResponseError) as error:
            log.warning("the fleet could not be told of %d chunks and will find them: %s", len(chunk_ids), error)


def hints(queue: str, chunk_ids: Sequence[str]) -> list[str]:
    """Return the chunks' hints as they stand in a queue, which is named as Celery names it."""
    chain = json.dumps({"callbacks": None, "errbacks": None, "chain": None, "chord": None})
    template = json.dumps(_message(queue)).replace("%", "%%").replace(_MARK, "%")
    return [
        template
        % {
            "body": b64encode(f'[["{chunk_id}"], {{}}, {chain}]'.encode()).decode(),
            "chunk_id": chunk_id,
            "id": str(uuid4()),
            "tag": uuid4(),
        }
        for chunk_id in chunk_ids
    ]


def _message(queue: str) -> dict[str, Any]:
    """Return a hint with places for what differs between hints."""
    return {
        "body": f"{_MARK}(body)s",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": SUBMIT_TASK,
            "id": f"{_MARK}(id)s",
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": f"{_MARK}(id)s",
            "parent_id": None,
            "argsrepr": f"['{_MARK}(chunk_id)s']",
            "kwargsrepr": "{}",
            "origin": f"gen{os.getpid()}@{socket.gethostname()}",
            "ignore_result": False,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        },
        "properties": {
            "correlation_id": f"{_MARK}(id)s",
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": f"{_MARK}(tag)s",
        },
    }
