"""Holds as the fleet sees them: which are set, and how a process of the fleet sets one.

A hold stops submitting for the partner, one run or one brand until a person releases it (`holds`). Over an asyncio
client that answers in bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.progress import Hold
from couponpress.ledger.scripts import script


class FleetHolds:
    """Reads holds and sets them."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._hold = client.register_script(script("hold"))

    async def hold(self, scope: str, reason: str, cure: str, since: float) -> bool:
        """Hold `partner`, `run:NUMBER` or `brand:ID`; every process is told at once.

        Returns False when the scope is held already: the first reason stays.
        """
        names = [self._keys.holds, self._keys.holds_changed]
        return bool(await self._hold(names, [scope, Hold(scope, reason, cure, since).to_json()]))

    async def holds(self) -> dict[str, Hold]:
        """Return every hold by its scope."""
        found = await cast(Awaitable[dict[bytes, bytes]], self._client.hgetall(self._keys.holds))
        return {scope.decode(): Hold.from_json(scope.decode(), text) for scope, text in found.items()}

    async def shown_scope(self, scope: str) -> str:
        """Return what a hold is of, as people are told: `partner`, `run autumn`, `brand 7`."""
        kind, _, named = scope.partition(":")
        if kind != "run":
            return scope.replace(":", " ")
        name = await cast(Awaitable[bytes | None], self._client.hget(self._keys.run(named), "name"))
        return f"run {name.decode() if name else named}"
