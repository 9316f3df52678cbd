"""Keeps background loops running: an error that nobody foresaw is logged and counted, and the loop starts again.

The first occurrence of an error is logged with its trace. The same error from the same line is then only counted, and
logged again after ten minutes. The wait before the next start doubles from half a second to ten seconds. A loop may be
given as a single turn that is made again and again, by the leader of the fleet alone if that is asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from traceback import walk_tb

from redis.exceptions import NoPermissionError

from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.stopping import rest
from couponpress.transport.redis_refusals import rights_cure

log = logging.getLogger(__name__)

#: How often a loop runs that looks after something once a second; retries are released with this precision.
TICK_SECONDS = 1.0
#: The wait after the first failure in a row, and the longest.
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 10.0
#: The same error is logged again after so long.
TELL_AGAIN_SECONDS = 600.0


class Failures:
    """Counts the unforeseen errors of a process's loops.

    Attributes:
        counts: how many errors each loop ran into, by the loop's name.
        heard: called with each of them: the loop, the error, and how many it makes.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.counts: dict[str, int] = {}
        self.heard: Callable[[str, BaseException, int], None] | None = None
        self._monotonic = monotonic
        self._told: dict[tuple[str, type[BaseException], str, int], float] = {}

    def note(self, loop: str, error: BaseException) -> None:
        """Count an error of a loop; log it with its trace unless the same one was logged within ten minutes."""
        self.counts[loop] = self.counts.get(loop, 0) + 1
        frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
        same = (loop, type(error), *(frames[-1] if frames else ("", 0)))
        now = self._monotonic()
        if now - self._told.get(same, float("-inf")) >= TELL_AGAIN_SECONDS:
            self._told[same] = now
            if isinstance(error, NoPermissionError):  # not unforeseen: a person takes rights away, and gives them
                log.error("%s waits, for Redis refuses: %s. Cure: %s", loop, error, rights_cure(error))
                return
            log.error("%s failed and goes on (failure %d)", loop, self.counts[loop], exc_info=error)
        if self.heard is not None:
            self.heard(loop, error, self.counts[loop])


async def keep_running(
    name: str,
    run: Callable[[], Awaitable[object]],
    stopped: asyncio.Event,
    failures: Failures,
    *,
    tick_seconds: float | None = None,
    leader: Callable[[], Awaitable[bool]] | None = None,
    away: Callable[[Exception], None] = lambda _: None,
) -> None:
    """Run a loop until it ends by itself or the process is stopped; start it again after an unforeseen error.

    A loop that ran for longer than `LONGEST_REST_SECONDS` before it failed starts again after the shortest wait.

    Args:
        name: of the loop, for the log and for `health`.
        run: the loop; with `tick_seconds`, one turn of it.
        stopped: set when the process stops.
        failures: counts the unforeseen errors.
        tick_seconds: how long to rest between two turns. A turn that returns something true is followed at once.
        leader: says before each turn whether this process is the one that works; without it every process does.
        away: hears each time that a turn got no answer from Redis, which is no unforeseen error.
    """
    if tick_seconds is not None:
        run = _turns(run, stopped, tick_seconds, leader, away)
    loop = asyncio.get_running_loop()
    in_a_row = 0
    while True:
        began = loop.time()
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - this is the place for what nobody foresaw
            failures.note(name, error)
            in_a_row = 1 if loop.time() - began > LONGEST_REST_SECONDS else in_a_row + 1
        else:
            return
        if stopped.is_set():
            return
        await rest(stopped, min(FIRST_REST_SECONDS * 2.0 ** min(in_a_row - 1, 10), LONGEST_REST_SECONDS))


def _turns(
    turn: Callable[[], Awaitable[object]],
    stopped: asyncio.Event,
    tick_seconds: float,
    leader: Callable[[], Awaitable[bool]] | None,
    away: Callable[[Exception], None],
) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        while not stopped.is_set():
            more: object = None
            try:
                if leader is None or await leader():
                    more = await turn()
            except REDIS_AWAY as error:
                away(error)
            if not more:
                await rest(stopped, tick_seconds)

    return run
