"""Checks a set-up before a night depends on it: settings, keys, Redis, the platform; every failure has its cure.

Decides what is good enough. Changes nothing, and sends the platform one harmless query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis

from couponpress.errors import CouponpressError
from couponpress_worker.judgement import NotFound, Stop, judge_query
from couponpress_worker.process import platform_for
from couponpress_worker.settings import Secrets, Settings

#: A clock further off than this deserves attention; at 300 s the platform refuses every signature.
SKEW_SECONDS = 30
#: A task that no partner has: knowing that takes a signature that holds.
_UNKNOWN_TASK = "couponpress-doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is good, what was seen, and the cure if it is not."""

    name: str
    good: bool
    seen: str
    cure: str = ""


def examine() -> Iterator[Finding]:
    """Check one thing after the other; what depends on a failed check is left out."""
    try:
        settings = Settings.load()
    except CouponpressError as error:
        yield Finding("settings", good=False, seen=str(error), cure="deploy/env.example is a file to start from")
        return
    yield Finding("settings", good=True, seen=f"partner {settings.mchid}, limit {settings.rate}")
    yield from _redis(settings)
    try:
        keys = Secrets.read(settings)
    except CouponpressError as error:
        yield Finding("keys", good=False, seen=str(error), cure="correct the file, or the setting that names it")
        return
    yield Finding("keys", good=True, seen="private key, platform key and APIv3 key are readable and of the right kind")
    yield from asyncio.run(_platform(settings, keys))


def _redis(settings: Settings) -> Iterator[Finding]:
    with redis.Redis.from_url(settings.redis_url, socket_timeout=5, decode_responses=True) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            cure = "start it, or correct COUPONPRESS_REDIS_URL"
            yield Finding("redis", good=False, seen=f"{settings.redis_url_shown}: {error}", cure=cure)
            return
        yield Finding("redis", good=True, seen=f"{settings.redis_url_shown} answers")
        try:
            config = cast(
                dict[str, Any], client.config_get("appendonly", "maxmemory-policy", "hash-max-listpack-entries")
            )
        except redis.RedisError as error:
            yield Finding("redis settings", good=True, seen=f"not shown by this server ({error})")
            return
    aof = config.get("appendonly") == "yes"
    yield Finding(
        "redis persistence", aof, f"appendonly {config.get('appendonly')}", "start Redis with --appendonly yes"
    )
    kept = config.get("maxmemory-policy") == "noeviction"
    cure = "set maxmemory-policy noeviction: an evicted key is a lost row"
    yield Finding("redis eviction", kept, f"maxmemory-policy {config.get('maxmemory-policy')}", cure)
    compact = int(config.get("hash-max-listpack-entries") or 0) >= 512
    seen = f"hash-max-listpack-entries {config.get('hash-max-listpack-entries')}"
    yield Finding("redis memory", compact, seen, "set it to 512: above half a million specs it saves half the memory")


async def _platform(settings: Settings, keys: Secrets) -> list[Finding]:
    platform = platform_for(settings, keys)
    try:
        answer = await platform.query(_UNKNOWN_TASK, "0", "COMBINE_IMAGE")
    finally:
        await platform.aclose()
    judgement = judge_query(answer)
    findings = [_answered(judgement, settings.base_url)]
    if platform.skew_seconds is not None:
        seen = f"{platform.skew_seconds:+.0f} s between the platform's clock and this one"
        good = abs(platform.skew_seconds) < SKEW_SECONDS
        findings.append(Finding("clock", good, seen, "set this machine's clock (NTP)"))
    return findings


def _answered(judgement: object, base_url: str) -> Finding:
    if isinstance(judgement, Stop):
        return Finding("platform", good=False, seen=f"{judgement.code}: {judgement.message}", cure=judgement.cure)
    seen = f"{base_url} took our signature" if isinstance(judgement, NotFound) else f"{base_url}: {judgement}"
    cure = "check COUPONPRESS_BASE_URL, the network, and the answer shown"
    return Finding("platform", isinstance(judgement, NotFound), seen, cure)
