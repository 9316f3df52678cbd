"""Checks that a Redis server can do what couponpress needs, and that a service's user may, before anything is sent.

A right is tried without doing anything: MULTI, then a command with names that nothing is stored under, then DISCARD.
The server refuses what the user may not do while it collects the commands, and carries none of them out. Whatever else
it answers (it is full, or knows no MULTI) tells nothing about rights and is no objection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import redis
from redis.exceptions import NoPermissionError, ResponseError

from couponpress.errors import RedisRefusedError
from couponpress.keys import Keys
from couponpress.language import gettext
from couponpress.redis_rights import NAMES, Role, channel_rule, commands_of, key_rule
from couponpress.transport.redis_address import RedisAddress
from couponpress.transport.redis_refusals import redis_errors_told

#: The first release whose scripts can say that a full server shall run them.
OLDEST: Final = 7
_TRIAL: Final = "#!lua flags=no-writes,allow-oom\nreturn 1"
#: A command takes so many words behind its name, at least; two for those that do not stand here.
_WORDS: Final = {
    "ping": 0,
    "info": 0,
    "time": 0,
    "acl|whoami": 0,
    "unwatch": 0,
    "unsubscribe": 0,
    "select": 1,
    "get": 1,
    "hgetall": 1,
    "hlen": 1,
    "exists": 1,
    "ttl": 1,
    "pttl": 1,
    "llen": 1,
    "smembers": 1,
    "xlen": 1,
    "zcard": 1,
    "lpop": 1,
    "del": 1,
    "rpop": 1,
    "subscribe": 1,
    "config|get": 1,
    "script|load": 1,
    "hset": 3,
    "hsetnx": 3,
    "hincrby": 3,
    "lrange": 3,
    "ltrim": 3,
    "xrange": 3,
    "xrevrange": 3,
    "zadd": 3,
    "zcount": 3,
    "zremrangebyscore": 3,
    "zrange": 3,
    "zrangebyscore": 3,
    "zrevrange": 3,
    "xadd": 4,
}
#: What is not queued behind MULTI, and so cannot be tried there.
_NOT_QUEUED: Final = frozenset({"multi", "exec", "discard", "watch"})


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a server cannot be used, and the cure."""

    seen: str
    cure: str


def objections(told: Mapping[str, Any]) -> Iterator[Objection]:
    """Yield what a server's INFO tells against it: a cluster, a replica, too old, or one that cannot be recognized."""
    one_server = gettext("use a single server: no Redis Cluster")
    if told.get("cluster_enabled"):
        yield Objection(gettext("it is a cluster"), one_server)
    if told.get("role") not in {"master", None}:
        cure = gettext("name the primary in COUPONPRESS_REDIS_URL, or the Sentinels that know it")
        yield Objection(gettext("it is a replica, which takes no writes"), cure)
    version = str(told.get("redis_version", ""))
    if (found := re.match(r"\d+", version)) and int(found[0]) < OLDEST:
        yield Objection(
            gettext("Redis %(version)s is too old") % {"version": version}, gettext("use Redis 7 or newer, or Valkey")
        )
    if not told.get("run_id"):
        yield Objection(
            gettext("its INFO has no run_id"),
            gettext("use a server or proxy that shows it: without it nobody notices that the server was restarted"),
        )


def script_objection(client: redis.Redis) -> Objection | None:
    """Return what speaks against the server's scripts, by running one that changes nothing."""
    try:
        client.register_script(_TRIAL)()
    except NoPermissionError:
        return None  # told with the other rights
    except ResponseError as error:
        if re.search("unknown command|compil|shebang|not allowed|not support|disabled", str(error), re.IGNORECASE):
            return Objection(
                gettext("it runs no scripts (%(error)s)") % {"error": error},
                gettext("use Redis 7 or newer, or Valkey, and a plan or proxy that lets scripts through"),
            )
    return None


def missing_rights(client: redis.Redis, keys: Keys, role: Role) -> list[str]:
    """Return what the client's user lacks of a role's rights, as rules of ACL SETUSER, by trying each."""
    tries = [*_commands(keys, role), *_names(keys, role)]
    connection: Any = client.connection_pool.get_connection()
    try:
        words = [("MULTI",), *(words for _, words in tries), ("DISCARD",)]
        connection.send_packed_command(connection.pack_commands(words))
        refusals = [_refusal(connection) for _ in words]
    finally:
        client.connection_pool.release(connection)
    told = zip(tries, refusals[1:-1], strict=True)
    # A refusal says whether it is of the command or of a name.
    lacking = [rule for (rule, _), refusal in told if ("to run" if rule.startswith("+") else "to access") in refusal]
    return list(dict.fromkeys(lacking))


def grant(client: redis.Redis, rules: list[str]) -> str:
    """Return the line that grants rules to the client's user."""
    try:
        user = str(cast(Any, client).acl_whoami())
    except ResponseError:
        user = "USER"
    return f"ACL SETUSER {user} {' '.join(rules)}"


def check_server(address: RedisAddress, url_shown: str, keys: Keys, role: Role) -> None:
    """Make sure that a service can work with a server.

    Raises:
        RedisRefusedError: it is a cluster, a replica or too old, runs no scripts, or lacks a right; with the cure.
        RedisUnavailableError: it does not answer.
    """
    with redis_errors_told(url_shown), address.client(socket_timeout=5, socket_connect_timeout=5) as client:
        told = cast(dict[str, Any], client.info())
        found = next(objections(told), None)
        if found is None and "evalsha" in commands_of(role):
            found = script_objection(client)
        if found is not None:
            raise RedisRefusedError(url_shown, found.seen, found.cure)
        if rules := missing_rights(client, keys, role):
            seen = gettext("its user may not do all that a %(role)s must") % {"role": role}
            raise RedisRefusedError(url_shown, seen, grant(client, rules))


def _commands(keys: Keys, role: Role) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    name = keys.run("~rights")  # which every role may read, at least
    for command in commands_of(role):
        if command in _NOT_QUEUED:
            continue
        count = _WORDS.get(command, 2)
        yield f"+{command}", (*command.upper().split("|"), *_arguments(command, name, keys)[:count])


def _arguments(command: str, name: str, keys: Keys) -> list[str | int]:
    match command:
        case "publish" | "subscribe":
            return [keys.holds_changed, ""]
        case "evalsha":
            return ["0" * 40, 0]
        case "client|setinfo":
            return ["LIB-NAME", "couponpress"]
        case "lpush" | "brpop":
            return [keys.queue("~rights"), 0]
        case "zdiff":
            return [1, name]
    return [name, "0", "0", "0"]


def _names(keys: Keys, role: Role) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for name in NAMES:
        sample = name.sample(keys)
        if name.channel:
            if (rule := channel_rule(name, keys, role)) is not None:
                yield rule, ("PUBLISH", sample, "")
        elif (rule := key_rule(name, keys, role)) is not None:
            if role in name.both:
                yield rule, ("EVALSHA", "0" * 40, 1, sample)
            elif role in name.reads:
                yield rule, ("HGETALL", sample)
            else:
                yield rule, ("LPUSH", sample, "")


def _refusal(connection: Any) -> str:  # noqa: ANN401 - redis-py's connection
    """Return in what words the server refuses a command for want of a right; empty when it does not."""
    try:
        connection.read_response()
    except NoPermissionError as error:
        return str(error)
    except ResponseError:
        pass
    return ""
