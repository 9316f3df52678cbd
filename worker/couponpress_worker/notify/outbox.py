"""What waits in Redis to be told, a queue for each target: each occurrence is put there once and told once.

An occurrence is claimed by its id as it is put into the queues, so two processes that find the same one queue it once.
A call is noted before it is made. When its process dies in the middle, nobody knows whether a robot took the message,
and it is not sent again; a webhook gets it again under the same id. Whatever waits longer than a day is given up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.scripts import script
from couponpress.notify.target import Target
from couponpress_worker.notify.occurrences import Occurrence

#: An occurrence is known by its id for so long.
CLAIM_SECONDS: Final = 30 * 86400
#: The most that waits for one target; the oldest is dropped.
MOST_WAITING: Final = 500
#: What waits for longer is given up.
LONGEST_WAIT_MS: Final = 86_400_000
_QUEUE_SECONDS: Final = 2 * 86400
#: The first occurrence of a message waits so long for others.
GATHER_MS: Final = 2_000
#: A call that was noted so long ago is broken off; a call takes at most 15 s.
CALL_MS: Final = 30_000
_OBJECTION_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """What one call is to tell.

    Attributes:
        occurrences: what to tell, the oldest first; empty when only something was given up.
        tries: how often the call before it was made in vain.
        perhaps_told: what a call told or not that was broken off with its process; it is not told again.
        given_up: what waited for too long.
    """

    occurrences: tuple[Occurrence, ...] = ()
    tries: int = 0
    perhaps_told: tuple[Occurrence, ...] = ()
    given_up: tuple[Occurrence, ...] = ()


class Outbox:
    """The queues of all targets, over an asyncio client that answers in bytes."""

    def __init__(self, client: Redis, keys: Keys, owner: str) -> None:
        """Take the client, the partner's names, and a name that no other process has."""
        self._keys = keys
        self._owner = owner
        room = "couponpress_worker.notify"
        self._queue_once = client.register_script(script("queue_once", room))
        self._take = client.register_script(script("take_message", room))
        self._end = client.register_script(script("end_message", room))

    async def put(self, occurrence: Occurrence, targets: Iterable[Target]) -> bool:
        """Put an occurrence into the queues of those targets that it concerns; False when it was put there before."""
        queues = [self._keys.notify_queue(one.name) for one in targets if occurrence.concerns(one)]
        values: list[str | int] = [CLAIM_SECONDS, occurrence.stored(), MOST_WAITING, _QUEUE_SECONDS]
        return bool(await self._queue_once([self._keys.notify_claim(occurrence.id), *queues], values))

    async def take(self, target: Target, most: int, gather_ms: int = GATHER_MS) -> Taken | None:
        """Take what a target is to be told now, and note the call; None when there is nothing to do.

        Args:
            target: whom to tell.
            most: how many occurrences one message tells of.
            gather_ms: how long the first one waits for others.
        """
        repeats = int(target.kind.name == "webhook")
        values: list[str | int] = [self._owner, most, gather_ms, CALL_MS, repeats, _QUEUE_SECONDS, LONGEST_WAIT_MS]
        reply = cast(list[Any] | None, await self._take(self._names(target), values))
        if reply is None:
            return None
        tries, broken, old, *entries = reply
        read = tuple(Occurrence.read(entry.partition(b" ")[2]) for entry in entries)
        return Taken(read[broken + old :], tries, perhaps_told=read[:broken], given_up=read[broken : broken + old])

    async def told(self, target: Target, rest_seconds: float) -> None:
        """Note that a call is over and its message will not be sent again; the robot rests for some seconds."""
        await self._note(target, "", "", rest_seconds)

    async def not_told(self, target: Target, objection: str, rest_seconds: float) -> None:
        """Put what a call told back, to be told again after a rest, and note what the robot answered."""
        await self._note(target, "1", objection[:_OBJECTION_LIMIT] or "-", rest_seconds)

    async def _note(self, target: Target, again: str, objection: str, rest_seconds: float) -> None:
        values: list[str | int] = [self._owner, again, round(rest_seconds * 1000), objection, _QUEUE_SECONDS]
        await self._end(self._names(target), values)

    def _names(self, target: Target) -> list[str]:
        robot = hashlib.sha256(target.url.encode()).hexdigest()[:16]
        keys = self._keys
        return [keys.notify_queue(target.name), keys.notify_call(target.name), keys.notify_rest(robot)]
