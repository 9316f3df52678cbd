"""Learns of holds that other processes or a person set or released: at once by a channel, and by looking regularly.

A message on the channel is only a hint and may be lost. The ledger says what is held, so it is read regularly as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from redis.asyncio import Redis

from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress_worker.periodic import rest
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.timings import REAL, Timings

log = logging.getLogger(__name__)


class HoldWatch:
    """Keeps a process's `Halt` as the ledger has it; one per process, on its event loop."""

    def __init__(
        self,
        client: Redis,
        channel: str,
        holds: FleetHolds,
        halt: Halt,
        released: Callable[[str], None],
        away: Callable[[Exception], None] = lambda _: None,
        timings: Timings = REAL,
    ) -> None:
        """Take what is to be told of each scope that is held no more, and each time that Redis did not answer."""
        self._client = client
        self._channel = channel
        self._holds = holds
        self._halt = halt
        self._released = released
        self._away = away
        self._look_seconds = timings.hold_look

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped."""
        while not stopped.is_set():
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(self._channel)
                    while not stopped.is_set():
                        await self.look()
                        await channel.get_message(timeout=self._look_seconds)
            except REDIS_AWAY as error:  # no slot is given out meanwhile
                self._away(error)
                await rest(stopped, self._look_seconds)

    async def look(self) -> None:
        """Take over what the ledger says."""
        before = self._halt.held
        held = await self._holds.holds()
        set_meanwhile = self._halt.held - before  # by this process, after the ledger was asked
        begun, ended = held.keys() - self._halt.held, before - held.keys()
        self._halt.held = frozenset(held) | set_meanwhile
        for scope in ended:
            self._released(scope)
            log.info("submitting goes on: %s", await self._shown(scope))
        for scope in begun:
            log.warning(
                "submitting is held: %s: %s. Cure: %s", await self._shown(scope), held[scope].reason, held[scope].cure
            )

    async def _shown(self, scope: str) -> str:
        """Return the scope as people know it; a run by its number while Redis does not tell its name."""
        try:
            return await self._holds.shown_scope(scope)
        except REDIS_AWAY:
            return scope
