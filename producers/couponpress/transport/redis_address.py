"""Reads the address of Redis, a single server or a Sentinel set, for redis-py and for Celery.

    redis://user:password@host:6379/0                               one server
    rediss://user:password@host:6379/0                              the same over TLS; its certificate is checked
    sentinel://user:password@host:26379,host:26379/mymaster/0       the master `mymaster`, database 0

User and password are those of the server and may be left out; `?sentinel_password=…` is the password of the Sentinels.
redis-py and Celery read addresses differently, so only forms that mean the same to both are accepted. Nothing is
opened here.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.connection import parse_url

from couponpress.language import gettext

#: When a Sentinel does not answer within this time, the next one is asked.
SENTINEL_SECONDS = 1.0
_SENTINEL_PORT = 26379
_FORMS = (
    "must read like redis://:password@host:6379/0, rediss://… or "
    "sentinel://:password@host:26379,host:26379/mymaster/0, with / # ? of a password percent-encoded"
)
_SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}

AsyncClient = TypeVar("AsyncClient", bound=redis.asyncio.Redis)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis address that was read by `parse`.

    Attributes:
        url: as it was given.
        sentinels: host and port of each Sentinel; none for a single server.
        master: the name under which the Sentinels know the server.
        access: database, user name and password of the server behind the Sentinels, as redis-py calls them.
        sentinel_access: user name and password of the Sentinels.
    """

    url: str = field(repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    access: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel_access: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address.

        Raises:
            ValueError: saying which forms are; it shows no piece of the address, for it may hold a password.
        """
        if url.startswith("sentinel://"):
            return cls._parse_sentinels(url)
        try:
            good = url.startswith(("redis://", "rediss://")) and bool(parse_url(url))  # type: ignore[no-untyped-call]
            parts = urlsplit(url)
            query = parts.query
        except ValueError:  # its message may show a part of the password
            good = False
        if not good:
            raise ValueError(_FORMS)
        if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):  # redis-py would take 0 instead, and Celery fail
            raise ValueError(gettext("names no database: what stands behind the last slash is its number, as in /0"))
        if query:  # Celery would take it for options of its own, and use another database
            raise ValueError(
                gettext("takes nothing behind a ?; the database stands behind the slash: redis://host:6379/3")
            )
        return cls(url)

    @classmethod
    def _parse_sentinels(cls, url: str) -> Self:
        found = re.fullmatch(
            r"sentinel://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^@/?#]+)"
            r"/(?P<master>[^/?#]+)(?:/(?P<db>\d*))?(?:\?(?P<query>[^#]*))?",
            url,
        )
        if not found or found["master"].isdecimal():  # a number there is Celery's form, and means a database
            raise ValueError(_FORMS)
        options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
        if not options.keys() <= _SENTINEL_OPTIONS.keys():
            raise ValueError(
                gettext("takes only %(sentinel_options)s behind the ? of a sentinel:// address")
                % {"sentinel_options": " and ".join(_SENTINEL_OPTIONS)}
            )
        access: dict[str, Any] = {"db": int(found["db"] or 0)}
        for name, text in (("username", found["user"]), ("password", found["password"])):
            if text:
                access[name] = unquote(text)
        return cls(
            url,
            tuple(_host(text) for text in re.split("[,;]", found["hosts"])),
            unquote(found["master"]),
            access,
            {_SENTINEL_OPTIONS[name]: text for name, text in options.items()},
        )

    def client(self, **options: Any) -> redis.Redis:  # noqa: ANN401 - redis-py's own options
        """Return a blocking client, which connects when first used."""
        if not self.sentinels:
            return redis.Redis.from_url(self.url, **options)
        kind: Any = redis.sentinel.Sentinel  # neither of the two has types
        asked = kind(self.sentinels, sentinel_kwargs=self._sentinel_options())
        return cast(redis.Redis, asked.master_for(self.master, **self.access, **options))

    def async_client(self, kind: type[AsyncClient], **options: Any) -> AsyncClient:  # noqa: ANN401 - as above
        """Return an asyncio client of the class given, which connects when first used."""
        if not self.sentinels:
            return cast(AsyncClient, kind.from_url(self.url, **options))
        sentinel: Any = redis.asyncio.sentinel.Sentinel
        asked = sentinel(list(self.sentinels), sentinel_kwargs=self._sentinel_options())
        return cast(AsyncClient, asked.master_for(self.master, redis_class=kind, **self.access, **options))

    def celery(self) -> dict[str, Any]:
        """Return Celery's settings for broker and results: addresses, TLS, transport options."""
        # A server that vanishes silently is noticed within seconds, not after the TCP timeout.
        silence = {"socket_timeout": 5, "socket_connect_timeout": 5, "socket_keepalive": True}
        address, options = self.url, dict[str, Any]()
        if self.sentinels:
            user, password = (quote(self.access.get(name, ""), safe="") for name in ("username", "password"))
            login = f"{user}:{password}@" if user or password else ""
            address = ";".join(f"sentinel://{login}{host}:{port}/{self.access['db']}" for host, port in self.sentinels)
            options = {"master_name": self.master, "sentinel_kwargs": self._sentinel_options()}
        # Without these Celery would trust any certificate, or refuse the address.
        tls = {"ssl_cert_reqs": ssl.CERT_REQUIRED} if self.url.startswith("rediss:") else None
        return {
            "broker_url": address,
            "broker_use_ssl": tls,
            "broker_transport_options": {**silence, "health_check_interval": 5, **options},
            "result_backend": address,
            "redis_backend_use_ssl": tls,
            "redis_socket_timeout": 5.0,
            "redis_socket_connect_timeout": 5.0,
            # Results are optional: writing one is tried twice, not for 20 s.
            "result_backend_transport_options": {"retry_policy": {"max_retries": 1}, **options},
        }

    def _sentinel_options(self) -> dict[str, Any]:
        return {
            "socket_timeout": SENTINEL_SECONDS,
            "socket_connect_timeout": SENTINEL_SECONDS,
            **self.sentinel_access,
        }


def _host(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?", text)
    if not found or not 0 < (port := int(found[2] or _SENTINEL_PORT)) < 65536:
        raise ValueError(_FORMS)
    return found[1].strip("[]"), port
