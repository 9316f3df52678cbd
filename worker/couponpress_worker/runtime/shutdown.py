"""Ends a process that was told to stop: in order within its deadline, else at once.

A second TERM or INT, or the deadline, ends the process at once. Requests in flight then lose their answers, and other
processes send them again with the same bytes.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from couponpress_worker.timings import REAL

#: `timeout`, and a terminal with a supervisor behind it, send the same signal twice at once: that is no impatience.
AT_ONCE_SECONDS = 0.5
EXIT_HARD = 1


def bound_shutdown(deadline_seconds: float = REAL.shutdown) -> None:
    """Let the next TERM or INT, or the deadline, end this process hard; for the main thread, at the first one."""
    told_at = time.monotonic()

    def told_again(*_: object) -> None:
        if time.monotonic() - told_at > AT_ONCE_SECONDS:
            _end("it was told to a second time")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told_again)
    timer = threading.Timer(deadline_seconds, _end, [f"it did not stop within {deadline_seconds:g} s"])
    timer.daemon = True
    timer.start()


def _end(why: str) -> None:
    # Not by the log: a signal may have come in the middle of a line of it.
    os.write(2, f"couponpress: this process ends hard, for {why}; what was in flight is sent again\n".encode())
    os._exit(EXIT_HARD)
