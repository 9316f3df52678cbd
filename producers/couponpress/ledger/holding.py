"""A person's acts on holds: stop submitting for the partner or one run, and let it go on.

A hold lets requests in flight end and keeps everything else where it is, across restarts, until it is released.
"""

from __future__ import annotations

import json
import time
from typing import Any, cast

import redis

from couponpress.keys import HELD_SCORE, LANES, Keys
from couponpress.ledger.scripts import script


class HoldingLedger:
    """The holding side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._release = client.register_script(script("release"))

    def hold(self, number: str | None, reason: str, cure: str) -> bool:
        """Hold one run, or with None the partner; False when it is held already (the first reason stays)."""
        stored = json.dumps({"reason": reason, "cure": cure, "since": time.time()}, ensure_ascii=False)
        return bool(self._client.hsetnx(self._keys.holds, _scope(number), stored))

    def release(self, number: str | None) -> list[str] | None:
        """Release one run's hold, or the partner's. Returns the chunks to publish, or None when nothing was held.

        A run whose partner is still held stays where it is, and the other way round.
        """
        keys = self._keys
        names = [keys.holds, *(keys.open(lane) for lane in LANES)]
        was_held, *freed = cast(list[Any], self._release(names, [_scope(number), HELD_SCORE]))
        return [chunk_id.decode() for chunk_id in freed] if was_held or freed else None


def _scope(number: str | None) -> str:
    return "partner" if number is None else f"run:{number}"
