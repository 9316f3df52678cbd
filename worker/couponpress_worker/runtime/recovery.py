"""Puts right what a crash, a lost message or a due retry left behind.

It finds the chunks that need another hint. It runs in every worker and in the scheduler, but only the leader does the
work. When the leader dies another process takes over within seconds, so any one process may be killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import WorkLedger
from couponpress_worker.periodic import Failures, rest
from couponpress_worker.store.leader import Leadership
from couponpress_worker.timings import REAL, Timings

log = logging.getLogger(__name__)

#: How often finished runs are checked for their age.
FORGET_EVERY_TICKS = 60


def _say_away(error: Exception) -> None:
    log.warning("recovery waits for Redis: %s", error)


async def recover(
    ledger: WorkLedger,
    leadership: Leadership,
    publish_again: Callable[[list[str]], Awaitable[None]],
    *,
    result_ttl_seconds: int,
    stopped: asyncio.Event,
    away: Callable[[Exception], None] = _say_away,
    failures: Failures | None = None,
    timings: Timings = REAL,
) -> None:
    """Look after everything once a second, while this process leads, until it is stopped.

    `away` hears each time that Redis did not answer; `failures` counts what nobody foresaw.
    """
    failures = failures or Failures()
    ticks = 0
    while not stopped.is_set():
        try:
            if await leadership.mine():
                # First what makes room: hints cannot be published while Redis is full.
                if ticks % FORGET_EVERY_TICKS == 0:
                    for number in await ledger.forget_finished(result_ttl_seconds):
                        log.info("forgot run %s: its results lived %d s", number, result_ttl_seconds)
                ticks += 1
                await publish_again(await chunks_to_publish(ledger))
        except REDIS_AWAY as error:
            away(error)
        except Exception as error:  # noqa: BLE001 - whatever one chunk does to it: the others need it
            failures.note("recovery", error)
        await rest(stopped, timings.recovery_look)


async def chunks_to_publish(ledger: WorkLedger) -> list[str]:
    """Release due retries, and return every chunk that needs a hint, each once."""
    due = await ledger.moves.release_due_retries()
    abandoned = await ledger.leases.abandoned()
    unannounced = await ledger.leases.unannounced()
    if abandoned:
        log.warning("%d chunks were not taken up in time and are published again", len(abandoned))
    return list(dict.fromkeys([*due, *abandoned, *unannounced]))
