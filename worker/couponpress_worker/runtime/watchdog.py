"""Checks a process once a second: writes its heartbeat, and ends it when it is stuck.

A stuck process logs why, hands back what it can, and exits, so that its supervisor starts another one.
`stall_detector` decides what stuck means. The watchdog is a thread of its own, because an event loop that hangs
cannot check itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable

from couponpress.stopping import rest
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.heartbeat import Beat, Heartbeat
from couponpress_worker.runtime.stall_detector import STUCK_LOOKS, Progress, Sight
from couponpress_worker.timings import REAL

log = logging.getLogger(__name__)

EXIT_STUCK = 1


class Watchdog:
    """Watches one process."""

    def __init__(
        self,
        role: str,
        heartbeat: Heartbeat,
        *,
        look: Callable[[bool], Awaitable[Sight]],
        in_hand: Callable[[], int],
        hand_back: Callable[[], None],
        leave: Callable[[int], object] = os._exit,
        every_seconds: float = REAL.stuck / STUCK_LOOKS,
        failures: Failures | None = None,
    ) -> None:
        """Take what it looks with and what it does in the end.

        Args:
            role: what the process is, for people.
            heartbeat: where its signs of life go.
            look: a look at the process, on its event loop; the argument says whether to ask the bucket too.
            in_hand: how many chunks are in hand.
            hand_back: saves what can be saved within seconds, before the exit; called in the watching thread.
            leave: ends the process.
            every_seconds: between two looks.
            failures: counts the unforeseen errors of the process's loops, and of this thread.
        """
        self._role = role
        self._heartbeat = heartbeat
        self._look = look
        self._in_hand = in_hand
        self._hand_back = hand_back
        self._leave = leave
        self._every_seconds = every_seconds
        self._failures = failures or Failures()
        self._progress = Progress()
        self._sent = 0
        self._state = "idle"
        self._turned = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> str:
        """What the process does, in a word or two."""
        return self._state

    async def run(self, stopped: asyncio.Event) -> None:
        """Look until the process is stopped. May be called again after it failed: the thread goes on meanwhile."""
        if self._thread is None:
            self._beat()  # whoever is told that the process runs, and looks for it, finds it
            self._thread = threading.Thread(
                target=self._watch, args=[asyncio.get_running_loop()], name="couponpress-watchdog", daemon=True
            )
            self._thread.start()
        while not stopped.is_set():
            sight = await self._look(self._progress.asks_for_slot)
            self._sent, self._state = sight.sent, self._progress.look(sight)
            await rest(stopped, self._every_seconds)

    def close(self) -> None:
        """Watch no more; to be called when the process has closed everything else."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._heartbeat.close()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        still = 0
        while not self._ended.is_set():
            self._turned = False
            loop.call_soon_threadsafe(self._turn)
            self._ended.wait(self._every_seconds)
            still = 0 if self._turned else still + 1
            if self._turned:  # else the last sign of life grows old, and a probe sees it
                self._beat()
            if still >= STUCK_LOOKS:
                self._end("its event loop hangs")
            elif self._progress.stuck:
                self._end("work waits and slots are free, but nothing is sent")

    def _beat(self) -> None:
        failed = dict(self._failures.counts)
        beat = Beat(self._role, os.getpid(), self._state, self._sent, self._in_hand(), time.time(), failed)
        try:
            self._heartbeat.write(beat)
        except Exception as error:  # noqa: BLE001 - a sign of life is not worth the watch
            self._failures.note("heartbeat", error)

    def _turn(self) -> None:
        self._turned = True

    def _end(self, why: str) -> None:
        if self._ended.is_set():
            return
        seconds = STUCK_LOOKS * self._every_seconds
        log.critical("this %s is stuck: for %.0f s %s. It exits, to be started again", self._role, seconds, why)
        self._hand_back()
        self._ended.set()
        self._leave(EXIT_STUCK)
