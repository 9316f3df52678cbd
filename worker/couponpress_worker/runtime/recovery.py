"""Publishes what a crash, a lost message or a due retry left behind, and forgets runs whose results are old.

Every worker and the scheduler can do it. The leader alone does: when it dies another process takes over within seconds,
so any one process may be killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from couponpress.ledger.working import WorkLedger

log = logging.getLogger(__name__)

#: Every so many turns finished runs are checked for their age.
FORGET_EVERY_TURNS = 60


class Recovery:
    """Looks after everything that was left behind; one per process, busy only while the process leads."""

    def __init__(
        self,
        ledger: WorkLedger,
        publish_again: Callable[[list[str]], Awaitable[None]],
        *,
        result_ttl_seconds: int,
    ) -> None:
        """Take the ledger, what gives chunks another hint, and how long results live."""
        self._ledger = ledger
        self._publish_again = publish_again
        self._result_ttl_seconds = result_ttl_seconds
        self._turns = 0

    async def turn(self) -> None:
        """Look once; to be called about once a second."""
        # First what makes room: hints cannot be published while Redis is full.
        if self._turns % FORGET_EVERY_TURNS == 0:
            for number in await self._ledger.forget_finished(self._result_ttl_seconds):
                log.info("forgot run %s: its results lived %d s", number, self._result_ttl_seconds)
        self._turns += 1
        await self._publish_again(await chunks_to_publish(self._ledger))


async def chunks_to_publish(ledger: WorkLedger) -> list[str]:
    """Release due retries and pauses that are over, and return every chunk that needs a hint, each once.

    A chunk that is left out, because there are hints enough, is found again when its time to be taken up is over.
    """
    # At once: nearly always nothing is found, and each wait for Redis costs as much CPU as the question.
    retries, pauses, abandoned, unannounced = await asyncio.gather(
        ledger.moves.release_due_retries(),
        ledger.moves.release_due_pauses(),
        ledger.leases.abandoned(),
        ledger.leases.unannounced(),
    )
    if abandoned:
        log.warning("%d chunks were not taken up in time and are published again", len(abandoned))
    found = list(dict.fromkeys([*retries, *pauses, *abandoned, *unannounced]))
    return found[: await ledger.leases.hints_wanted()] if found else []
