"""Checks the Redis server: whether it answers soon, what it can do, which rates it holds, and what it has set aside.

It also checks whether the rates in force are the configured ones, and whether there are dead letters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any, cast

import redis
from limits import parse

from couponpress.keys import Keys
from couponpress.language import gettext, joined
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, DeadLetterLedger
from couponpress.ledger.rate import PacingLedger, RateInForce
from couponpress.plurals import counted
from couponpress.redis_rights import Role
from couponpress.stored_sentences import in_words
from couponpress_worker.doctor.capabilities import check_capabilities
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.doctor.services import check_services
from couponpress_worker.rate.bucket import Bucket
from couponpress_worker.settings import Settings

_PINGS = 9
#: A learned limit this close to the highest rate we send comes from late requests, not from a lower platform limit.
_NEAR = 0.95
_LISTPACK = "hash-max-listpack-entries"
_LISTPACK_ENTRIES = 512


def check_redis(settings: Settings, role: Role) -> Iterator[Finding]:
    """Check the server, then the rates that it holds. If it does not answer, the only finding is `redis`.

    `role` is the service whose rights its user is to have.
    """
    keys = Keys(settings.mchid)
    with settings.redis_address.client(socket_timeout=5) as client:
        try:
            yield _answers(client, settings)
            told: dict[str, Any] = cast(dict[str, Any], client.info())
            yield from check_capabilities(client, settings.redis_address, keys, role, told)
            if settings.broker_url is not None:
                yield from _broker(settings, keys)
            yield from _memory_form(client)
            yield from _limits(client, settings)
            yield _dead_letters(client, Keys(settings.mchid))
            yield from check_services(client, settings)
        except redis.RedisError as error:
            cure = gettext(
                "start it, or correct COUPONPRESS_REDIS_URL; its user must be allowed to read, write and run scripts"
            )
            yield Finding("redis", good=False, seen=f"{settings.redis_url_shown}: {in_words(str(error))}", cure=cure)


def _answers(client: redis.Redis, settings: Settings) -> Finding:
    client.ping()
    took = []
    for _ in range(_PINGS):
        began = time.monotonic()
        client.ping()
        took.append((time.monotonic() - began) * 1000)
    most_ms = settings.lateness_ms / 2
    seen = gettext("%(redis_url_shown)s answers in %(median)s ms") % {
        "redis_url_shown": settings.redis_url_shown,
        "median": f"{median(took):.1f}",
    }
    cure = gettext(
        "put Redis nearer to the workers: from %(most_ms)s ms on, half of COUPONPRESS_LATENESS_MS, slots are late"
    ) % {"most_ms": f"{most_ms:g}"}
    return Finding("redis", median(took) < most_ms, seen, cure)


def _broker(settings: Settings, keys: Keys) -> Iterator[Finding]:
    """Check the server that holds Celery's queues; what is in them may be lost, so nothing needs to persist."""
    address = settings.broker_address
    try:
        with address.client(socket_timeout=5) as client:
            client.llen(keys.queue("bulk"))
    except redis.RedisError as error:
        cure = gettext("start it, or correct COUPONPRESS_BROKER_URL")
        yield Finding("broker", good=False, seen=f"{address.label}: {error}", cure=cure)
        return
    yield Finding("broker", good=True, seen=address.label)


def _memory_form(client: redis.Redis) -> Iterator[Finding]:
    try:
        config = cast(dict[str | bytes, Any], client.config_get(_LISTPACK))
    except redis.ResponseError:
        return  # not shown by a hosted server; it only costs memory
    entries = int(config.get(_LISTPACK) or config.get(_LISTPACK.encode()) or 0)
    cure = gettext("set it to %(listpack_entries)s: above half a million specs it saves half the memory") % {
        "listpack_entries": _LISTPACK_ENTRIES
    }
    yield Finding("redis compactness", entries >= _LISTPACK_ENTRIES, f"{_LISTPACK} {entries}", cure)


def _limits(client: redis.Redis, settings: Settings) -> Iterator[Finding]:
    for name, configured in (("submit", settings.rate), ("query", settings.query_rate)):
        rate = PacingLedger(client, Keys(settings.mchid), name).rate()
        seen = gettext("%(rate)s configured") % {"rate": configured}
        if rate.configured and rate.configured != configured:
            cure = gettext("give every process of the fleet the same rate, and restart those that have another")
            yield Finding(
                f"{name} limit",
                good=False,
                seen=gettext("%(seen)s, but %(rate)s by a worker") % {"seen": seen, "rate": rate.configured},
                cure=cure,
            )
        elif rate.why == "throttled" and rate.held_seconds and not _within_lateness(rate, settings.lateness_ms):
            cure = gettext("set the rate that the platform grants: it was found to allow %(found)s a second") % {
                "found": rate.found
            }
            yield Finding(
                f"{name} limit",
                good=False,
                seen=gettext("%(seen)s, %(in_force)s in force after 429") % {"seen": seen, "in_force": rate.in_force},
                cure=cure,
            )
        else:
            by_hand = gettext(", %(by_hand)s set by hand") % {"by_hand": rate.by_hand} if rate.by_hand else ""
            used = effective_per_second(rate.by_hand or configured, settings.lateness_ms)
            learned = (
                gettext("; after 429 %(in_force)s in force, which rises by itself") % {"in_force": rate.in_force}
                if rate.why == "throttled"
                else ""
            )
            seen = gettext("%(seen)s%(by_hand)s: at most %(used)s a second are sent%(learned)s") % {
                "seen": seen,
                "by_hand": by_hand,
                "used": used,
                "learned": learned,
            }
            yield Finding(f"{name} limit", good=True, seen=seen)


def _within_lateness(rate: RateInForce, lateness_ms: int) -> bool:
    """Whether the limit that was found is what lateness alone can make of the one that was set."""
    chosen = rate.by_hand or rate.configured
    return rate.found is not None and bool(chosen) and rate.found >= effective_per_second(chosen, lateness_ms) * _NEAR


def _dead_letters(client: redis.Redis, keys: Keys) -> Finding:
    ledger = DeadLetterLedger(client, keys)
    chunks, (messages, _) = ledger.chunks(), ledger.messages()
    cure = gettext(
        "`couponpress status` says why; chunks are tried again by `couponpress redrive RUN --code %(dead_letter_code)s`"
    ) % {"dead_letter_code": DEAD_LETTER_CODE}
    no_hints = "message that was no hint", "messages that were no hints"
    seen = joined([counted(len(chunks), "chunk"), counted(messages, *no_hints)])
    return Finding("dead letters", not chunks and not messages, seen, cure)


def effective_per_second(rate: str, lateness_ms: int) -> float:
    """Return what the lateness budget leaves of a limit.

    >>> effective_per_second("500/second", 20)
    489.9
    """
    return int(1e7 / Bucket("", parse(rate), lateness_ms / 1000).spacing_us) / 10
