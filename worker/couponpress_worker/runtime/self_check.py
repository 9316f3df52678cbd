"""Looks at the process itself once a second, for the watchdog: what was sent, what waits, what excuses a standstill.

What was sent is counted from the events. What waits is asked over the client that fails fast, so that a slow Redis is
seen as an excuse and not as a standstill.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import redis.exceptions

from couponpress.keys import PARTNER_SCOPE, Keys
from couponpress.ledger.outage import tell_down
from couponpress_worker.events import Answered, ChunkLeft, Events, Sent
from couponpress_worker.rate.bucket import Grant
from couponpress_worker.runtime.connections import Connections
from couponpress_worker.runtime.stall_detector import Sight
from couponpress_worker.safety.breaker_gate import Outage
from couponpress_worker.safety.send_switch import Halt

#: A slot that is due within this time was open: nobody had asked for it ahead.
OPEN_SLOT_US = 10_000


class Tally:
    """Counts what the process did.

    Attributes:
        sent: submissions that left.
        unreached: submissions that were given up unsent, for the platform could not be reached.
        held_back: chunks that were taken up and of which nothing may be sent, for their run or brands are held.
        empty: hints for which nothing was left to send.
    """

    def __init__(self, events: Events) -> None:
        self.sent = 0
        self.unreached = 0
        self.held_back = 0
        self.empty = 0
        events.listen(Sent, self._note_sent)
        events.listen(Answered, self._note_answered)
        events.listen(ChunkLeft, self._note_chunk)

    def _note_sent(self, event: Sent) -> None:
        self.sent += event.kind == "submit"

    def _note_answered(self, event: Answered[object]) -> None:
        self.unreached += event.kind == "submit" and event.error == "not_sent"

    def _note_chunk(self, event: ChunkLeft) -> None:
        self.held_back += event.note in {"held", "kept back", "capped"}
        self.empty += event.note in {"nothing", "closed", "dead letter"}


class SelfCheck:
    """What one process can tell of itself."""

    def __init__(
        self,
        events: Events,
        opened: Connections,
        keys: Keys,
        halt: Halt,
        outage: Outage,
        in_hand: Callable[[], int],
        *,
        takes_hints: bool,
    ) -> None:
        """Take what is looked at.

        Args:
            events: tell what the process does.
            opened: the client that fails fast, what knows whether Redis answers, and the limiter, which is asked for a
                slot when nothing else explains a standstill.
            keys: of the partner.
            halt: says whether the process may send.
            outage: says whether the platform is down.
            in_hand: how many chunks the process has in hand.
            takes_hints: whether hints that wait in the queues are work of its own.
        """
        self._tally = Tally(events)
        self._client = opened.limiter_redis
        self._broker = opened.broker_redis
        self._keys = keys
        self._pace = opened.pace
        self._halt = halt
        self._watch = opened.watch
        self._outage = outage
        self._in_hand = in_hand
        self._takes_hints = takes_hints
        self._returns_seen = 0

    async def look(self, ask_for_slot: bool) -> Sight:
        """Look once; with `ask_for_slot` the limiter is asked too, which may cost a slot."""
        if (down := self._outage.told) and self._in_hand():  # with nothing to send, it would never learn better
            with suppress(redis.exceptions.RedisError, OSError):  # people are told by the log as well
                await tell_down(self._client, self._keys, down)
        tally = self._tally
        seen = Sight(
            tally.sent,
            work_waits=False,
            held_back=tally.held_back,
            unreached=tally.unreached,
            empty=tally.empty,
        )
        if excuse := self.excuse():
            return replace(seen, excuse=excuse)
        try:
            waits = self._in_hand() > 0 or (self._takes_hints and await self._hints_wait())
            if waits and not self._in_hand() and await self._is_full():  # then nobody takes a hint
                return replace(seen, excuse="Redis full")
            answer = await self._pace.acquire(1) if ask_for_slot and waits else None
        except (redis.exceptions.RedisError, OSError):
            return replace(seen, excuse="Redis away")
        open_now = isinstance(answer, Grant) and answer.first_us <= OPEN_SLOT_US
        return replace(seen, work_waits=waits, slot_open=open_now if ask_for_slot else None)

    def excuse(self) -> str:
        """Return why nothing may be sent at the moment, as this process knows it; empty when it may."""
        if self._halt.stopping:
            return "stopping"
        if self._halt.holds(PARTNER_SCOPE):
            return "held"
        returns, self._returns_seen = self._returns_seen, self._watch.returns
        if self._watch.is_away or returns != self._watch.returns:  # or it was away since the look before
            return "Redis away"
        return "platform down" if self._outage.is_open else ""

    async def _hints_wait(self) -> bool:
        pipeline = self._broker.pipeline(transaction=False)
        for queue in self._keys.queues:
            pipeline.llen(queue)
        return any(await pipeline.execute())

    async def _is_full(self) -> bool:
        told = await self._broker.info("memory")
        return 0 < int(told["maxmemory"]) < int(told["used_memory"])
