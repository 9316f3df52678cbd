"""A person's acts on holds: stop submitting for the partner or one run, and let it go on.

A hold lets requests in flight end and keeps everything else where it is, across restarts, until it is released.
"""

from __future__ import annotations

import json
import time
from typing import cast

import redis

from couponpress.keys import HELD_SCORE, LANES, Keys, lane_of, run_of


class HoldingLedger:
    """The holding side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def hold(self, number: str | None, reason: str, cure: str) -> bool:
        """Hold one run, or with None the partner; False when it is held already (the first reason stays)."""
        stored = json.dumps({"reason": reason, "cure": cure, "since": time.time()}, ensure_ascii=False)
        return bool(self._client.hsetnx(self._keys.holds, _scope(number), stored))

    def release(self, number: str | None) -> list[str] | None:
        """Release one run's hold, or the partner's. Returns the chunks to publish, or None when nothing was held.

        A run whose partner is still held stays where it is, and the other way round.
        """
        if not self._client.hdel(self._keys.holds, _scope(number)):
            return None
        still_held = {scope.decode() for scope in cast(list[bytes], self._client.hkeys(self._keys.holds))}
        freed = []
        for lane in LANES:
            kept = cast(list[bytes], self._client.zrangebyscore(self._keys.open(lane), HELD_SCORE, HELD_SCORE))
            for chunk_id in (member.decode() for member in kept):
                run_held = _scope(run_of(chunk_id)) in still_held
                if "partner" not in still_held and not run_held and number in {None, run_of(chunk_id)}:
                    freed.append(chunk_id)
        for chunk_id in freed:
            self._client.zadd(self._keys.open(lane_of(chunk_id)), {chunk_id: 0}, xx=True)
        return freed


def _scope(number: str | None) -> str:
    return "partner" if number is None else f"run:{number}"
