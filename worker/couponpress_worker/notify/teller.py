"""Tells one target what waits for it in the outbox, and says in the log what it answered.

A robot rests between two messages, so that it stays below its limit; what happens meanwhile goes into the next one.
A message that was not taken is sent again after a while, longer each time, and given up after a day.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from couponpress.notify.target import Target
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.outbox import GATHER_MS, Outbox
from couponpress_worker.notify.sender import GAPS_SECONDS, MOST_AT_ONCE, Sender

log = logging.getLogger(__name__)


class Teller:
    """Tells one target; busy only while its process leads."""

    def __init__(self, target: Target, outbox: Outbox, sender: Sender, gather_ms: int = GATHER_MS) -> None:
        """Take whom to tell, what waits, what sends, and how long the first occurrence waits for others."""
        self._target = target
        self._outbox = outbox
        self._sender = sender
        self._gather_ms = 0 if target.kind.name == "webhook" else gather_ms

    async def turn(self) -> bool:
        """Tell what waits, if the target may be called now; returns whether more may wait for it."""
        target, kind = self._target, self._target.kind.name
        taken = await self._outbox.take(target, MOST_AT_ONCE[kind], self._gather_ms)
        if taken is None:
            return False
        if taken.perhaps_told:
            log.warning("%s may not have been told of %s: its process ended", target.name, _ids(taken.perhaps_told))
        if taken.given_up:
            log.error("%s was not told of %s within a day; it is given up", target.name, _ids(taken.given_up))
        if not taken.occurrences:
            return True
        answer = await self._sender.send(target, taken.occurrences)
        if answer.verdict == "taken":
            log.info("told %s of %s", target.name, _ids(taken.occurrences))
            await self._outbox.told(target, GAPS_SECONDS[kind])
            return kind == "webhook"
        if answer.verdict == "unknown" and kind != "webhook":
            log.warning("%s may not have been told of %s: %s", target.name, _ids(taken.occurrences), answer.words)
            await self._outbox.told(target, GAPS_SECONDS[kind])
            return False
        delay_seconds = answer.delay_seconds(taken.tries)
        log.warning(
            "%s at %s did not take %s (%s); again in %d s%s",
            target.name,
            target.shown,
            _ids(taken.occurrences),
            answer.words,
            delay_seconds,
            f". Cure: {answer.cure}" if answer.cure else "",
        )
        await self._outbox.not_told(target, answer.words, delay_seconds)
        return False


def _ids(occurrences: Iterable[Occurrence]) -> str:
    return ", ".join(one.id for one in occurrences)
