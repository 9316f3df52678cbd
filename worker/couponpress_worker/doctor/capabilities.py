"""Checks what a Redis server can do, mostly by doing it: scripts, a blocking read, pub/sub, on names of its own.

A server is judged by what it can do and not by its name, for there are several compatible servers, and proxies before
them. The rights of this service's user are tried one by one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, cast

import redis

from couponpress.keys import Keys
from couponpress.language import gettext
from couponpress.ledger.scripts import ALLOW_OOM
from couponpress.redis_rights import PLACEHOLDER, Role, commands_of
from couponpress.transport.redis_address import RedisAddress
from couponpress.transport.server_check import grant, missing_rights, objections, script_objection
from couponpress_worker.doctor.finding import Finding

_TRIAL_MS = 1000
#: A server that is this full has no room for a catalog.
_FULL = 0.8
#: Holds and nights end by the server's clock, and people set them by their own.
_SKEW_SECONDS = 30.0
_WAIT_SECONDS = 2.0


def check_capabilities(
    client: redis.Redis, address: RedisAddress, keys: Keys, role: Role, told: Mapping[str, Any]
) -> Iterator[Finding]:
    """Check a server with the rights of a role; `told` is what its INFO says."""
    yield _kind(told)
    yield _connection(address)
    yield _rights(client, keys, role)
    yield from _storage(told)
    yield _clock(client)
    yield _features(client, keys, role)


def _kind(told: Mapping[str, Any]) -> Finding:
    make = "valkey" if "valkey_version" in told else "redis"
    seen = f"{make} {told.get(f'{make}_version')}, {told.get('role')}"
    found = next(objections(told), None)
    if found is None:
        return Finding("redis kind", good=True, seen=seen)
    return Finding("redis kind", good=False, seen=f"{seen}: {found.seen}", cure=found.cure)


def _connection(address: RedisAddress) -> Finding:
    if address.access.get("password", "").startswith(PLACEHOLDER):
        cure = gettext("set a password of your own in deploy/redis/users.acl, and in COUPONPRESS_REDIS_URL")
        seen = gettext("the password is that of the delivered file")
        return Finding("redis connection", good=False, seen=seen, cure=cure)
    if address.tls and not address.is_verified:
        cure = gettext("name the authority with ssl_ca_certs in place of ssl_cert_reqs=none")
        seen = gettext("TLS with whoever answers: its certificate is not checked")
        return Finding("redis connection", good=False, seen=seen, cure=cure)
    seen = "TLS" if address.tls else gettext("without TLS")
    return Finding("redis connection", good=True, seen=f"{seen}, RESP{address.access['protocol']}")


def _rights(client: redis.Redis, keys: Keys, role: Role) -> Finding:
    rules = missing_rights(client, keys, role)
    if not rules:
        seen = gettext("its user may do all that a %(role)s must") % {"role": role}
        return Finding("redis rights", good=True, seen=seen)
    seen = gettext("its user may not do all that a %(role)s must") % {"role": role}
    return Finding("redis rights", good=False, seen=seen, cure=grant(client, rules))


def _storage(told: Mapping[str, Any]) -> Iterator[Finding]:
    aof, written = bool(told.get("aof_enabled")), told.get("aof_last_write_status", "ok") == "ok"
    seen = "appendonly yes" if aof else "appendonly no"
    cure = (
        gettext("make room on its disk: the last write to its AOF failed")
        if aof
        else gettext("start Redis with --appendonly yes")
    )
    yield Finding(
        "redis persistence",
        aof and written,
        seen if written else gettext("%(seen)s, last write failed") % {"seen": seen},
        cure,
    )
    policy = told.get("maxmemory_policy")
    cure = gettext("set maxmemory-policy noeviction: an evicted key is a lost row")
    yield Finding("redis eviction", policy == "noeviction", f"maxmemory-policy {policy}", cure)
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    limit = f"{most / 2**20:.0f} MB" if most else gettext("no limit")
    seen = gettext("%(used)s MB used of %(limit)s") % {"used": f"{used / 2**20:.0f}", "limit": limit}
    cure = gettext("raise maxmemory, or wait until finished runs are forgotten: a full Redis refuses new specs")
    yield Finding("redis memory", not most or used < _FULL * most, seen, cure)


def _clock(client: redis.Redis) -> Finding:
    seconds, microseconds = client.time()
    skew = seconds + microseconds / 1e6 - time.time()
    seen = gettext("%(skew)s s between its clock and this one") % {"skew": f"{skew:+.1f}"}
    return Finding("redis clock", abs(skew) < _SKEW_SECONDS, seen, gettext("set both machines' clocks (NTP)"))


def _features(client: redis.Redis, keys: Keys, role: Role) -> Finding:
    may = set(commands_of(role))
    if "evalsha" in may and (found := script_objection(client)) is not None:
        return Finding("redis features", good=False, seen=found.seen, cure=found.cure)
    try:
        if {"del", "xadd"} <= may:
            _run_script(client, keys)
        if "brpop" in may:
            _read_blocking(client, keys)
        heard = "subscribe" not in may or _hears(client, keys)
    except redis.ResponseError as error:
        cure = gettext(
            "use Redis 7 or newer, or Valkey, on a plan or proxy without shards, with every command let through"
        )
        return Finding("redis features", good=False, seen=str(error), cure=cure)
    if not heard:
        cure = gettext("use a server or proxy that passes on PUBLISH and SUBSCRIBE: holds would come late")
        return Finding("redis features", good=False, seen=gettext("a published message did not come"), cure=cure)
    return Finding("redis features", good=True, seen=gettext("scripts, blocking reads, streams and channels work"))


def _run_script(client: redis.Redis, keys: Keys) -> None:
    """Run a script on two names, which servers with shards refuse: they lie in different ones."""
    trial = files("couponpress_worker.doctor").joinpath("trial.lua").read_text(encoding="utf-8")
    client.delete(keys.doctor)
    client.register_script(ALLOW_OOM + trial)([keys.doctor, keys.holds], [_TRIAL_MS])


def _read_blocking(client: redis.Redis, keys: Keys) -> None:
    client.delete(keys.doctor)
    client.lpush(keys.doctor, "")
    client.brpop([keys.doctor], timeout=_WAIT_SECONDS)


def _hears(client: redis.Redis, keys: Keys) -> bool:
    """Whether a message that is published is heard."""
    with cast(Any, client).pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(keys.doctor)
        deadline = time.monotonic() + _WAIT_SECONDS
        client.publish(keys.doctor, "")
        while time.monotonic() < deadline:
            if heard.get_message(timeout=0.1) is not None:
                return True
            client.publish(keys.doctor, "")
    return False
