"""The fleet's side of the ledger: one object that has every part, and the deletion of old runs.

Whoever needs one part only is given that part. Over an asyncio client that answers in bytes. Every act may be repeated
after a lost reply.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis

from couponpress.keys import Keys, run_scope
from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.fleet_queries import FleetQueries
from couponpress.ledger.leases import LEASE_MS, LeaseLedger
from couponpress.ledger.moves import TAKE_UP_MS, MoveLedger
from couponpress.ledger.scripts import script


class WorkLedger:
    """Everything that a process of the fleet does with the ledger.

    Attributes:
        queries: where specs stand, and what is due.
        holds: which holds are set.
        moves: specs go from state to state.
        leases: which process has a chunk in hand.
    """

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        lease_ms: int = LEASE_MS,
        take_up_ms: int = TAKE_UP_MS,
        broker: Redis | None = None,
    ) -> None:
        """Take what the ledger works with.

        Args:
            client: of the server that holds the ledger.
            keys: of the partner.
            lease_ms: how long a lease lasts.
            take_up_ms: within which time a published chunk must be taken up.
            broker: a client of the server that holds the queues, if it is another one.
        """
        self._client = client
        self._keys = keys
        self._forget = client.register_script(script("forget"))
        self._forget_run = client.register_script(script("forget_run"))
        self.queries = FleetQueries(client, keys)
        self.holds = FleetHolds(client, keys)
        self.moves = MoveLedger(client, keys, self.queries, self.holds, take_up_ms=take_up_ms)
        self.leases = LeaseLedger(
            client,
            keys,
            self.queries,
            self.moves,
            self.holds,
            lease_ms=lease_ms,
            take_up_ms=take_up_ms,
            broker=broker,
        )

    async def forget_finished(self, result_ttl_seconds: int) -> list[str]:
        """Delete every run whose results have lived `result_ttl_seconds`; returns their numbers."""
        keys, queries, forgotten = self._keys, self.queries, []
        for number in await queries.due(keys.finished, await queries.now_ms() - result_ttl_seconds * 1000, 10):
            chunks = await cast(Awaitable[bytes | None], self._client.hget(keys.run(number), "chunks"))
            for sequence in range(1, int(chunks or 0) + 1):
                chunk_id = f"{number}.{sequence}"
                if not await self._forget(
                    [keys.chunk(chunk_id), keys.finished, keys.run(number), keys.upload_lock(number)]
                    + [keys.history(chunk_id)],
                    [number, keys.index, await queries.digests(chunk_id)],
                ):
                    break
                await self._client.hdel(keys.dead_letters, chunk_id)
            if await self._forget_run(
                [keys.run(number), keys.run_numbers, keys.runs, keys.finished, keys.reasons(number)]
                + [keys.upload_lock(number), keys.holds, keys.counts, keys.reasons_seen(number), keys.brands(number)],
                [number, run_scope(number)],
            ):
                forgotten.append(number)
        return forgotten
