"""Carries hints between processes: kombu's Redis transport, over our own connections and below the partner's prefix.

kombu reads addresses in its own way. It knows no TLS towards Sentinels, no password with every character, and speaks
RESP3 without a way back. So its channels take their connections from a `RedisAddress`. Every name that kombu makes on
the server begins with the partner's prefix: queues, hints in hand, and what remote control needs. A queue is one list,
not one for each of four priorities. When Redis is away, kombu's own errors are raised.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis
from redis import ConnectionPool

from couponpress.keys import Keys
from couponpress.transport.redis_address import RedisAddress


class PrefixedChannel(kombu_redis.Channel):
    """kombu's channel over connections of a `RedisAddress`, which is a transport option."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, "address")
    address: RedisAddress

    def _get_pool(self, asynchronous: bool = False) -> ConnectionPool:
        """Return a pool; of an asynchronous one, kombu's poller hears when a connection is closed."""
        options = {
            "socket_timeout": self.socket_timeout,
            "socket_connect_timeout": self.socket_connect_timeout,
            "health_check_interval": self.health_check_interval,
            "max_connections": self.max_connections,
        }
        if "path" not in self.address.access:
            options["socket_keepalive"] = True
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=self.address.database)
        return self.address.pool(self._heard if asynchronous else None, **options)

    def _heard(self, kind: type[Any]) -> type[Any]:
        def closed(connection: object) -> None:
            if self._registered:  # type: ignore[attr-defined]  # its types leave it out
                self._on_connection_disconnect(connection)  # type: ignore[attr-defined]

        class Heard(kind):  # type: ignore[misc]  # of which kind is told when it runs
            def disconnect(self, *args: object, **options: object) -> None:
                super().disconnect(*args, **options)
                closed(self)

        return Heard


class BrokerTransport(kombu_redis.Transport):
    """kombu's transport over such channels."""

    Channel = PrefixedChannel


def name_of(transport: type[BrokerTransport]) -> str:
    """Return a transport's name, as Celery wants it."""
    return f"{transport.__module__}:{transport.__qualname__}"


def broker_settings(address: RedisAddress, keys: Keys) -> dict[str, Any]:
    """Return Celery's settings for the broker. The URL among them is for people: it holds no login."""
    return {
        "broker_url": f"redis://{'localhost' if 'path' in address.access else _first(address)}/{address.database}",
        "broker_transport": name_of(BrokerTransport),
        "broker_transport_options": {
            "address": address,
            "global_keyprefix": keys.prefix,
            "priority_steps": [0],
            # A server that vanishes silently is noticed within seconds, not after the TCP timeout.
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "health_check_interval": 5,
        },
        "result_backend": None,
    }


def _first(address: RedisAddress) -> str:
    return address.label.rpartition(" of ")[2].partition(",")[0]
