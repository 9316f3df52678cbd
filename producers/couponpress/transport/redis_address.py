"""Reads the address of Redis, and makes clients for it: one server, a socket of this machine, or a Sentinel set.

    redis://user:password@host:6379/0                               one server
    rediss://user:password@host:6379/0                              the same over TLS; its certificate is checked
    unix://user:password@/run/redis.sock?db=0                       a server of this machine, by its socket
    sentinel://user:password@host:26379,host:26379/mymaster/0       the master `mymaster`, database 0
    sentinels://user:password@host:26379,host:26379/mymaster/0      the same, with TLS to the servers and the Sentinels

User and password are those of the server and may be left out. Behind a `?` stand options: `protocol` (2 or 3), `db`,
`ssl_…` where TLS is spoken, `sentinel_username` and `sentinel_password` for Sentinels. Percent-encoding lets each part
hold any character. RESP2 is spoken unless `protocol=3` asks for more: every server and proxy knows RESP2, and some know
nothing else. Reading an address opens nothing, and clients connect when they are first used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import parse_qsl, unquote

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry

from couponpress.language import gettext, gettext_noop

#: When a Sentinel does not answer within this time, the next one is asked.
SENTINEL_SECONDS = 1.0
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_FORMS = gettext_noop(
    "must read like redis://:password@host:6379/0, rediss://…, unix:///run/redis.sock or "
    "sentinel://:password@host:26379,host:26379/mymaster/0, with / # ? of a password percent-encoded"
)
#: What stands before the host: user, password, or both. Only / ? # must be percent-encoded.
_LOGIN = r"(?:(?P<login>[^/?#]*)@)?"
_QUERY = r"(?:\?(?P<query>[^#]*))?"
_TCP: Final = re.compile(
    rf"rediss?://{_LOGIN}(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>\d{{1,5}}))?(?P<path>/[^?#@]*)?{_QUERY}"
)
_UNIX: Final = re.compile(rf"unix://{_LOGIN}(?P<socket>/[^?#]+){_QUERY}")
_SENTINEL: Final = re.compile(
    rf"sentinels?://{_LOGIN}(?P<hosts>[^@/?#]+)/(?P<master>[^@/?#]+)(?P<path>/[^?#@]*)?{_QUERY}"
)
_SENTINEL_OPTIONS: Final = {"sentinel_username": "username", "sentinel_password": "password"}
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS: Final = (*_TLS_FILES, "ssl_password", "ssl_ciphers", "ssl_cert_reqs", "ssl_check_hostname")
#: What CLIENT LIST shows. Without a version it is one question, whose answer tells why a server takes no client.
_CLIENT: Final = DriverInfo("couponpress", None)
#: The options whose values are one of a few; what redis-py is given for each.
_CHOICES: Final[dict[str, dict[str, Any]]] = {
    "protocol": {"2": 2, "3": 3},
    "ssl_cert_reqs": {"required": "required", "none": "none"},
    "ssl_check_hostname": {"true": True, "false": False},
}

AsyncClient = TypeVar("AsyncClient", bound=redis.asyncio.Redis)
#: Makes one class of connections out of another.
Change = Callable[[type[Any]], type[Any]]


class _SentinelPool(redis.sentinel.SentinelConnectionPool):
    """A pool that closes its connections to the Sentinels too."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()


class _AsyncSentinelPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """The same."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis address that was read by `parse`.

    Attributes:
        label: the host and port, the socket or the master, for people.
        tls: whether TLS is spoken.
        sentinels: host and port of each Sentinel; none for a single server.
        master: the name under which the Sentinels know the server.
        access: what redis-py is told of the server: host and port or path, database, login, protocol, TLS.
        sentinel_access: user name, password and TLS of the Sentinels.
    """

    label: str
    tls: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    access: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel_access: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address.

        Raises:
            ValueError: saying which forms are; it shows no piece of the address, for it may hold a password.
        """
        for form in (_TCP, _UNIX, _SENTINEL):
            if found := form.fullmatch(url):
                break
        else:
            raise ValueError(gettext(_FORMS))
        scheme, parts = url.partition(":")[0], found.groupdict()
        tls = scheme in {"rediss", "sentinels"}
        allowed = ["protocol", "db", *(_TLS_OPTIONS if tls else ()), *(_SENTINEL_OPTIONS if form is _SENTINEL else ())]
        options = _options(parts["query"] or "", allowed)
        spoken = {"protocol": options.get("protocol", 2), "driver_info": _CLIENT}
        access = _login(parts["login"] or "") | spoken
        access["db"] = _database(parts.get("path") or "", options)
        encryption = {name: value for name, value in options.items() if name.startswith("ssl_")}
        access |= encryption
        if form is _UNIX:
            path = unquote(parts["socket"])
            return cls(path, access=access | {"path": path})
        if form is _TCP:
            host, port = parts["host"].strip("[]"), _port(parts["port"] or _PORT)
            return cls(_shown(host, port), tls, access=access | {"host": host, "port": port})
        if parts["master"].isdecimal():  # a number there is Celery's form, and means a database
            raise ValueError(gettext(_FORMS))
        sentinels = tuple(_host(text) for text in re.split("[,;]", parts["hosts"]))
        own = {_SENTINEL_OPTIONS[name]: options[name] for name in _SENTINEL_OPTIONS if name in options}
        own |= {**spoken, **({"ssl": True, **encryption} if tls else {})}
        master = unquote(parts["master"])
        return cls(f"{master} of {', '.join(_shown(*one) for one in sentinels)}", tls, sentinels, master, access, own)

    @property
    def database(self) -> int:
        """The number of the database."""
        return int(self.access["db"])

    @property
    def is_verified(self) -> bool:
        """Whether the server proves by its certificate who it is."""
        return self.tls and self.access.get("ssl_cert_reqs", "required") == "required"

    def unreadable_files(self) -> Iterator[str]:
        """Yield each option that names a file for TLS which this process cannot read."""
        for name in _TLS_FILES:
            if (path := self.access.get(name)) is not None and not os.access(path, os.R_OK):
                yield name

    def client(self, **options: Any) -> redis.Redis:  # noqa: ANN401 - redis-py's own options
        """Return a blocking client."""
        return redis.Redis.from_pool(self.pool(**options))

    def pool(self, change: Change | None = None, **options: Any) -> redis.ConnectionPool:  # noqa: ANN401 - as above
        """Return a pool of blocking connections; `change` makes another class of theirs."""
        kinds: Any = redis.sentinel
        options = self._connection(kinds, redis.connection) | options
        if change is not None:
            options["connection_class"] = change(options["connection_class"])
        if not self.sentinels:
            return redis.ConnectionPool(**options)
        asked = kinds.Sentinel(self.sentinels, sentinel_kwargs=self._sentinel_options(Retry(NoBackoff(), 0)))
        return _SentinelPool(self.master, asked, **options)  # type: ignore[no-untyped-call]

    def async_client(self, kind: type[AsyncClient], change: Change | None = None, **options: Any) -> AsyncClient:  # noqa: ANN401 - as above
        """Return an asyncio client of the class given; `change` makes another class of its connections."""
        kinds: Any = redis.asyncio.sentinel
        options = self._connection(kinds, redis.asyncio.connection) | options
        if change is not None:
            options["connection_class"] = change(options["connection_class"])
        if not self.sentinels:
            return cast(AsyncClient, kind.from_pool(redis.asyncio.ConnectionPool(**options)))
        hosts = list(self.sentinels)
        asked = kinds.Sentinel(hosts, sentinel_kwargs=self._sentinel_options(AsyncRetry(NoBackoff(), 0)))
        pool = _AsyncSentinelPool(self.master, asked, **options)  # type: ignore[no-untyped-call]
        return cast(AsyncClient, kind.from_pool(pool))

    def _connection(self, sentinels: Any, plain: Any) -> dict[str, Any]:  # noqa: ANN401 - modules of redis-py
        if self.sentinels:
            kind = sentinels.SentinelManagedSSLConnection if self.tls else sentinels.SentinelManagedConnection
        elif "path" in self.access:
            kind = plain.UnixDomainSocketConnection
        else:
            kind = plain.SSLConnection if self.tls else plain.Connection
        return {**self.access, "connection_class": kind}

    def _sentinel_options(self, retry: object) -> dict[str, Any]:
        return {
            "socket_timeout": SENTINEL_SECONDS,
            "socket_connect_timeout": SENTINEL_SECONDS,
            "retry": retry,  # the next Sentinel is asked instead
            **self.sentinel_access,
        }


def _login(text: str) -> dict[str, str]:
    user, _, password = text.partition(":")
    return {name: unquote(told) for name, told in (("username", user), ("password", password)) if told}


def _options(query: str, allowed: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= set(allowed):
        told = gettext("takes only %(options)s behind the ? of an address of this kind")
        raise ValueError(told % {"options": ", ".join(allowed)})
    for name, choices in _CHOICES.items():
        if name in options:
            if options[name] not in choices:
                told = gettext("takes only %(values)s for %(option)s")
                raise ValueError(told % {"values": ", ".join(choices), "option": name})
            options[name] = choices[options[name]]
    return options


def _database(path: str, options: dict[str, Any]) -> int:
    """Return the number of the database, which stands behind the last slash or in `db`."""
    if not re.fullmatch(r"/?|/[0-9]{1,5}", path):
        raise ValueError(gettext("names no database: what stands behind the last slash is its number, as in /0"))
    number: str = options.get("db", path.strip("/") or "0")
    if not re.fullmatch(r"[0-9]{1,5}", number):
        raise ValueError(gettext("names no database: db is its number, as in db=0"))
    if path.strip("/") not in {"", number}:
        raise ValueError(gettext("names two databases: one behind the slash, another one as db"))
    return int(number)


def _host(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?", text)
    if not found:
        raise ValueError(gettext(_FORMS))
    return found[1].strip("[]"), _port(found[2] or _SENTINEL_PORT)


def _port(number: str | int) -> int:
    if not 0 < int(number) < 65536:
        raise ValueError(gettext(_FORMS))
    return int(number)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
