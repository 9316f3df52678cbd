"""Holds as the fleet sees them: which are in force, how a process sets one, and how one that is over goes.

A hold stops submitting for the partner, one run or one brand until a person releases it, or until the end that it
names (`holds`). Over an asyncio client that answers in bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, cast

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.attribution import Actor, Attribution
from couponpress.ledger.audit import Act, ActName, note_arguments
from couponpress.ledger.holds import release_names, release_values
from couponpress.ledger.progress import Hold
from couponpress.ledger.scripts import script


class FleetHolds:
    """Reads holds, sets them, and takes away those that are over."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._hold = client.register_script(script("hold"))
        self._release = client.register_script(script("release"))

    async def hold(self, scope: str, reason: str, cure: str, since: float) -> bool:
        """Hold `partner`, `run:NUMBER` or `brand:ID`; every process is told at once.

        Returns False when the scope is held already: the first reason stays.
        """
        note, values = await self._note("pause", scope, reason)
        hold = Hold(scope, reason, cure, since, by=_FLEET)
        names = [self._keys.holds, self._keys.holds_changed, *note]
        return bool(await self._hold(names, [scope, hold.to_json(), *values]))

    async def holds(self) -> dict[str, Hold]:
        """Return every hold in force by its scope."""
        return (await self.holds_and_ended())[0]

    async def holds_and_ended(self) -> tuple[dict[str, Hold], list[str]]:
        """Return every hold in force by its scope, and the scopes of those whose end is there."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hgetall(self._keys.holds)
        pipeline.time()
        found, (seconds, micros) = cast(tuple[dict[bytes, bytes], tuple[int, int]], await pipeline.execute())
        now = seconds + micros / 1e6
        holds = {scope.decode(): Hold.from_json(scope.decode(), text) for scope, text in found.items()}
        in_force = {scope: hold for scope, hold in holds.items() if hold.in_force(now)}
        return in_force, [scope for scope in holds if scope not in in_force]

    async def release_ended(self, scopes: Iterable[str]) -> list[str]:
        """Release those of these holds that are over; of several processes one does it. Returns what to publish."""
        freed: list[str] = []
        for scope in scopes:
            note, values = await self._note("resume", scope, "its end was there")
            names = [*release_names(self._keys), *note]
            _, *chunks = cast(
                list[Any], await self._release(names, [*release_values(self._keys, scope, "ended"), *values])
            )
            freed += [chunk_id.decode() for chunk_id in chunks]
        return freed

    async def shown_scope(self, scope: str) -> str:
        """Return what a hold is of, as people are told: `partner`, `run autumn`, `brand 7`."""
        kind, _, named = scope.partition(":")
        return f"run {await self._run_name(named)}" if kind == "run" else scope.replace(":", " ")

    async def _run_name(self, number: str) -> str:
        name = await cast(Awaitable[bytes | None], self._client.hget(self._keys.run(number), "name"))
        return name.decode() if name else number

    async def _note(self, name: ActName, scope: str, why: str) -> tuple[list[str], list[str | int]]:
        kind, _, named = scope.partition(":")
        run = await self._run_name(named) if kind == "run" else ""
        act = Act(name, Attribution(_FLEET, why), run, named if kind == "brand" else "")
        return note_arguments(self._keys, act)


_FLEET = Actor("fleet", "fleet")
