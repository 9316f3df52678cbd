"""The loops of a process that tell people of events: one that watches, and one for each target.

Every worker and every scheduler whose settings name targets can do it, and one of them does at a time, under a lead of
its own: a process without targets does not take it. A process that names none has no such loop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial

import redis.exceptions
from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.notify.target import Target
from couponpress.notify.target_file import fleet_targets
from couponpress.settings import configured_language, environment_variable
from couponpress_worker.notify.outbox import Outbox
from couponpress_worker.notify.sender import Sender
from couponpress_worker.notify.teller import Teller
from couponpress_worker.notify.watch import Watch, none_overdue
from couponpress_worker.periodic import TICK_SECONDS
from couponpress_worker.runtime.overdue_nights import overdue_nights
from couponpress_worker.settings import Settings
from couponpress_worker.store.leader import Leadership

log = logging.getLogger(__name__)

#: Keeps a loop running that is called again and again while a process leads: its name, its turn, its leader.
Led = Callable[..., Coroutine[None, None, None]]


def notifying_for(settings: Settings, client: Redis, keys: Keys, owner: str) -> Notifying | None:
    """Return what tells the targets that the settings name; None where they name none.

    Raises:
        InputError: the file that names targets cannot be used.
    """
    targets = fleet_targets(settings.notify_file, settings.schedule_file, environment_variable)
    return Notifying(targets, settings, client, keys, owner) if targets else None


class Notifying:
    """What one process needs to tell people of events; to be made in its event loop."""

    def __init__(self, targets: Sequence[Target], settings: Settings, client: Redis, keys: Keys, owner: str) -> None:
        """Take whom to tell; nothing is sent yet."""
        self._targets = targets
        self._leadership = Leadership(client, keys.notify_leader, owner, settings.timings)
        self._sender = Sender(settings.mchid, configured_language(), rule=settings.proxy_rule)
        self._outbox = Outbox(client, keys, owner)
        overdue = overdue_nights(settings.schedule_file, client, keys) or none_overdue
        self._watch = Watch(client, keys, self._outbox, targets, overdue, settings.timings)
        log.info("events are told to %s", ", ".join(f"{one.name} ({one.shown})" for one in targets))

    def loops(self, led: Led, stops: Callable[[], bool]) -> list[Coroutine[None, None, None]]:
        """Return its loops."""

        async def leads() -> bool:
            return not stops() and await self._leadership.mine()

        turn = partial(led, leader=leads, tick_seconds=TICK_SECONDS)
        tellers = [(one.name, Teller(one, self._outbox, self._sender)) for one in self._targets]
        turns: list[tuple[str, Callable[[], Awaitable[object]]]] = [("events", self._watch.turn)]
        turns += [(f"target {name}", teller.turn) for name, teller in tellers]
        return [turn(name, act) for name, act in turns]

    async def aclose(self) -> None:
        """Close the connections, when no loop runs any more, and give up the lead."""
        await self._sender.aclose()
        with suppress(redis.exceptions.RedisError):  # the lead runs out by itself
            await self._leadership.resign()
