"""Learns of holds that other processes or a person set or released.

A message on a channel says at once that something changed. It is only a hint and may be lost, so the process also looks
at the ledger regularly; what is held is what the ledger says. When Redis does not let the process subscribe, it only
looks, and says so once. When Redis does not let it read the holds, Redis counts as away: nothing is sent while nobody
knows what is held. A hold whose end has come is released here, so that its chunks go on when only workers run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.stopping import rest
from couponpress.transport.redis_refusals import rights_cure
from couponpress_worker.events import Held, Released, Tell, unheard
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
        tell: Tell = unheard,
        *,
        publish: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        """Take what the watch works with.

        Args:
            client: subscribes to the channel.
            channel: its name.
            holds: tell what is held.
            halt: is kept as the ledger has it.
            released: is called with each scope that is held no more.
            away: hears each time that Redis did not answer.
            timings: how often to look without a message.
            tell: hears of each hold and each release.
            publish: publishes the chunks that a hold kept back that is over.
        """
        self._client = client
        self._channel = channel
        self._holds = holds
        self._halt = halt
        self._released = released
        self._away = away
        self._look_seconds = timings.hold_look
        self._tell = tell
        self._publish = publish
        self._refused = ""

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped."""
        while not stopped.is_set():
            try:
                await self._listen(stopped)
            except REDIS_AWAY as error:  # no slot is given out meanwhile
                self._away(error)
                await rest(stopped, self._look_seconds)
            except NoPermissionError as error:
                await self._look_unheard(error)
                await rest(stopped, self._look_seconds)

    async def _listen(self, stopped: asyncio.Event) -> None:
        """Look, and look again whenever somebody calls."""
        async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(self._channel)
            while not stopped.is_set():
                await self.look()
                await channel.get_message(timeout=self._look_seconds)
                self._refused = ""  # a refusal to subscribe is read here

    async def _look_unheard(self, refusal: NoPermissionError) -> None:
        """Look without the channel."""
        try:
            await self.look()
        except (NoPermissionError, *REDIS_AWAY) as error:
            self._away(error)
            return
        if str(refusal) != self._refused:
            log.warning(
                "holds are heard of only every %g s, for Redis refuses: %s. Cure: %s",
                self._look_seconds,
                refusal,
                rights_cure(refusal),
            )
        self._refused = str(refusal)

    async def look(self) -> None:
        """Take over what the ledger says."""
        before = self._halt.held
        held, over = await self._holds.holds_and_ended()
        set_meanwhile = self._halt.held - before  # by this process, after the ledger was asked
        begun, ended = held.keys() - self._halt.held, before - held.keys()
        self._halt.held = frozenset(held) | set_meanwhile
        for scope in ended:
            self._released(scope)
            self._tell(Released(scope, await self._shown(scope)))
        for scope in begun:
            self._tell(Held(scope, await self._shown(scope), held[scope].because, held[scope].cure, ours=False))
        if over and (freed := await self._holds.release_ended(over)):
            await self._publish(freed)

    async def _shown(self, scope: str) -> str:
        """Return the scope as people know it; a run by its number while Redis does not tell its name."""
        try:
            return await self._holds.shown_scope(scope)
        except RedisError:
            return scope
