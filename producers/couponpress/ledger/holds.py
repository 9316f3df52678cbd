"""A person's acts on holds: stop submitting for the partner, one run or one brand, and let it go on.

A hold lets requests in flight end and keeps everything else where it is, across restarts, until it is released. Every
process of the fleet hears of it at once.
"""

from __future__ import annotations

import time
from typing import Any, cast

import redis

from couponpress.keys import HELD_SCORE, LANES, PARTNER_SCOPE, Keys, brand_scope, run_scope
from couponpress.ledger.progress import Hold
from couponpress.ledger.scripts import ALLOW_OOM, script


class HoldingLedger:
    """The holding side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # A full server takes both: a hold is small and may be urgent, a release lets the fleet free memory.
        self._hold = client.register_script(ALLOW_OOM + script("hold"))
        self._release = client.register_script(ALLOW_OOM + script("release"))

    def hold(self, number: str | None, reason: str, cure: str, *, brand_id: str | None = None) -> bool:
        """Hold one run, a brand, or with neither the partner; False when it is held already: the first reason stays."""
        scope = _scope(number, brand_id)
        names = [self._keys.holds, self._keys.holds_changed]
        return bool(self._hold(names, [scope, Hold(scope, reason, cure, time.time()).to_json()]))

    def release(self, number: str | None, *, brand_id: str | None = None) -> list[str] | None:
        """Release the hold of one run, of a brand, or with neither the partner's.

        Returns the chunks to publish, or None when nothing was held. What another hold keeps back as well stays where
        it is.
        """
        keys = self._keys
        names = [keys.holds, *(keys.open(lane) for lane in LANES), keys.holds_changed]
        values: list[str | int] = [_scope(number, brand_id), HELD_SCORE, keys.chunk(""), keys.run("")]
        was_held, *freed = cast(list[Any], self._release(names, values))
        return [chunk_id.decode() for chunk_id in freed] if was_held or freed else None


def _scope(number: str | None, brand_id: str | None) -> str:
    if brand_id is not None:
        return brand_scope(brand_id)
    return PARTNER_SCOPE if number is None else run_scope(number)
