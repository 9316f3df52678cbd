"""The records of a release, as it leaves them in Redis: `python -m tests.records` writes those of this tree.

A file holds every key of a small ledger that has been through everything: type, values as text of Latin-1, and what
people are told of it. Written once when a release is made, and never changed: later versions must read it.
"""

import asyncio
import json
from pathlib import Path

import redis
from redis.asyncio import Redis

from couponpress import Client
from couponpress.keys import LANES
from couponpress.ledger.attribution import Actor
from couponpress.ledger.moves import Move
from couponpress.ledger.pictures import PictureLedger
from couponpress.nightly.claims import NightLedger
from couponpress.nightly.row_fingerprints import RowFingerprintLedger
from couponpress.outcome import State
from couponpress_worker.notify.occurrences import Occurrence
from tests.builders import KEYS, PICTURE, bring_to, moved, on_ledger, producer_settings, spec, stored

HOME = Path(__file__).parent


def make(url):
    """Bring a server into every state that a fleet leaves behind."""
    stored(url, 2, run="urgent", lane="urgent", first=1)
    chunk_id = stored(url, 11, run="may", first=100)
    states = [state for state in State if state.value != "cancelled"]
    bring_to(url, chunk_id, states)
    moved(url, chunk_id, Move(10, "succeed", image_url=PICTURE, request_id="08F78BA00610"))
    urgent = stored(url, 1, run="urgent", lane="urgent", first=3)
    moved(url, urgent, Move(0, "accept", tries=1))
    stored(url, 3, run="held", first=200)
    condemned = stored(url, 2, run="damaged", first=300)
    with redis.Redis.from_url(url) as plain, Client(producer_settings(url)) as own:
        client = own.acting_as(Actor("client", "wang", "ops-1"))
        on_ledger(url, lambda ledger: ledger.moves.dead_letter(condemned, "its record is damaged"))
        asyncio.run(_noted(url))
        client.pause("held", why="prices are wrong")
        client.pause(brand="999999", why="asked for by the brand")
        client.enqueue_many([spec(number) for number in range(400, 403)], run="given up")
        client.cancel("given up", why="sent by mistake")
        client.set_rate("400/second", why="a campaign")
        nights = NightLedger(plain, KEYS)
        nights.claim("prices-2026-05-01T02:00", "prices", 1_777_600_800, "one")
        nights.become("prices-2026-05-01T02:00", "one", "done", told="2 rows", figures="")
        nights.see("prices", 1_777_600_800.0)
        number = plain.hget(KEYS.run_numbers, "may").decode()
        RowFingerprintLedger(plain, KEYS).record("prices", number, nights.now())


async def _noted(url):
    async with Redis.from_url(url) as client:
        await PictureLedger(client, KEYS).remember(b"\x01" * 32, PICTURE)
        about = {"run": "prices-2026-05-01T02:00", "schedule": "prices", "at": 1, "told": "", "started": None}
        one = Occurrence("night.late prices", "night.late", 2.0, about, None, "prices")
        await client.rpush(KEYS.notify_queue("robot"), f"2000 {one.stored()}")


def told(url):
    """Return what people are told of such a server, as plain values."""
    with Client(producer_settings(url)) as client:
        return {
            "runs": {one.run: {state.value: getattr(one, state.value) for state in State} for one in client.runs()},
            "outcomes": {
                one.run: [
                    [each.row_id, each.outcome, each.image_url, each.request_id] for each in client.outcomes(one.run)
                ]
                for one in client.runs()
            },
            "holds": sorted([one.kind, one.scope, one.why] for one in client.holds()),
            "dead letters": [[one.run, one.reason, one.specs] for one in client.dead_letter_chunks()],
            "acts": sorted([one.act, one.why] for one in client.audit()),
            "rate": client.rate().in_force,
            "lanes": {lane: sum(one.lane == lane for one in client.runs()) for lane in LANES},
        }


def dump(plain):
    """Return every key with its type and its values."""
    read = {
        "string": plain.get,
        "hash": plain.hgetall,
        "list": lambda key: plain.lrange(key, 0, -1),
        "set": lambda key: sorted(plain.smembers(key)),
        "zset": lambda key: plain.zrange(key, 0, -1, withscores=True),
        "stream": plain.xrange,
    }
    found = {}
    for key in sorted(plain.scan_iter()):
        kind = plain.type(key).decode()
        found[key.decode()] = [kind, _as_text(read[kind](key))]
    return found


def load(plain, records):
    """Write what `dump` returned into an empty server."""
    for key, (kind, text) in records.items():
        value = _as_bytes(text)
        match kind:
            case "string":
                plain.set(key, value)
            case "hash":
                plain.hset(key, mapping=dict(value))
            case "list":
                plain.rpush(key, *value)
            case "set":
                plain.sadd(key, *value)
            case "zset":
                plain.zadd(key, dict(value))
            case "stream":
                for entry, fields in value:
                    plain.xadd(key, dict(fields), id=entry)


def _as_text(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return [[_as_text(name), _as_text(each)] for name, each in value.items()]
    return [_as_text(each) for each in value] if isinstance(value, list | tuple) else value


def _as_bytes(value):
    if isinstance(value, str):
        return value.encode("latin-1")
    return [_as_bytes(each) for each in value] if isinstance(value, list) else value


def read(path):
    """Return the records of a release, and what people were told of them."""
    held = json.loads(path.read_text("utf-8"))
    return held["records"], held["told"]
