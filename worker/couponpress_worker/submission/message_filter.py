"""Screens what comes out of the queues: what is no hint becomes a dead letter before Celery sees it.

Celery reads a message's envelope before it looks for a task. An element of a queue that is not JSON, or lacks what the
envelope must have, ends the whole worker, and one that was noted as unacknowledged comes back and ends the next one.
So every element is compared with what a hint looks like, and only hints pass. Strictness costs nothing: recovery finds
the chunk of a hint that did not pass. Other queues than ours pass unseen.

Its channel waits for Redis as well. A hint that cannot be acknowledged comes again, and its record knows what is left
to do. So each costs a line in the log; kombu would write a page of traces.
"""

from __future__ import annotations

import binascii
import json
import logging
from base64 import b64decode
from typing import Literal

from kombu.transport import redis as kombu_redis
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress.keys import CHUNK_ID, SUBMIT_TASK, Keys
from couponpress.ledger.dead_letters import note_message
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.transport.broker import BrokerTransport, PrefixedChannel
from couponpress.transport.redis_address import RedisAddress

log = logging.getLogger(__name__)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Headers(_Strict):
    """What Celery's main process reads of a message's headers; any others pass."""

    task: str
    id: str
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    shadow: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    ignore_result: bool | None = None
    retries: int | None = None
    eta: None = None
    expires: None = None
    compression: None = None
    timelimit: list[float | None] | None = Field(None, min_length=2, max_length=2)


class _DeliveryInfo(_Strict):
    exchange: str
    routing_key: str


class _Properties(_Strict):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None


class _Envelope(_Strict):
    body: str
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")


def reason_against(element: bytes) -> str | None:
    """Return why an element of a queue is no hint, or None when it is one."""
    try:
        envelope = _Envelope.model_validate(json.loads(element.decode()))
        if envelope.headers.task != SUBMIT_TASK:
            return f"headers.task: there is no task {envelope.headers.task[:100]!r}"
        body = json.loads(b64decode(envelope.body, validate=True))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"
    except binascii.Error as error:
        return f"body: not base64 ({error})"
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    match body:
        case [[str(chunk_id)], dict(kwargs), dict() | None] if not kwargs and CHUNK_ID.fullmatch(chunk_id):
            return None
    return "body: not the arguments of a hint, which are one chunk's id"


class Unacknowledged(kombu_redis.QoS):
    """kombu's notes of the hints in hand; neither a Redis that is away nor a full one is an error here."""

    def ack(self, delivery_tag: str) -> None:
        """Take a hint out of the notes, or leave it there to come again."""
        try:
            super().ack(delivery_tag)
        except REDIS_AWAY as error:
            log.info("the hint %s is not acknowledged and comes again: %s", delivery_tag, error)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Put hints back that nobody acknowledged in time; kombu's event loop asks for it now and then."""
        try:
            super().restore_visible(start, num, interval)
        except REDIS_AWAY as error:
            log.info("hints that nobody acknowledged come again later: %s", error)


class ScreeningChannel(PrefixedChannel):
    """kombu's channel to one server, which looks at each element of a partner's queues as it is taken out."""

    QoS = Unacknowledged
    from_transport_options = (*PrefixedChannel.from_transport_options, "screened_mchid", "ledger_address")
    #: The partner whose queues are screened, and where its dead letters go; transport options.
    screened_mchid = ""
    ledger_address: RedisAddress
    #: What notes and acknowledges hints; kombu would make one anew for each, which takes longer than both.
    _noting: Redis | None = None

    def _create_client(self, asynchronous: bool = False) -> Redis:
        try:
            if not asynchronous and self._noting is not None and self._noting.connection_pool is self.pool:
                return self._noting
            client: Redis = super()._create_client(asynchronous)  # type: ignore[misc]  # its types leave it out
        except AttributeError as error:  # kombu let the connection of this channel go; it knows how to take this one
            raise RedisConnectionError("the connection of this channel is closed") from error
        if asynchronous:  # the one that waits for messages
            client.set_response_callback("BRPOP", self._screened)
        else:
            self._noting = client
        return client

    def _screened(self, reply: list[bytes] | None, **_: object) -> tuple[bytes, bytes] | None:
        """Return a reply of BRPOP as it is; for an element that is no hint as if there had been none."""
        if not reply:
            return None
        queue, element = reply
        keys = Keys(self.screened_mchid)
        name = queue.decode().rsplit(self.sep, 1)[0]
        reason = reason_against(element) if name in keys.queues else None
        if reason is None:
            return queue, element
        log.error("a message in %s is no hint and becomes a dead letter: %s: %r", name, reason, element[:200])
        with self.ledger_address.client(socket_timeout=5, socket_connect_timeout=5) as client:
            note_message(client, keys, name, reason, element)
        return None


class ScreeningTransport(BrokerTransport):
    """The transport over screening channels."""

    Channel = ScreeningChannel
