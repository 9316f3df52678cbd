"""Runs the schedules inside the scheduler service: the ticker, under beat's lock.

A tick that fails is logged and repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from couponpress.errors import RedisUnavailableError
from couponpress.language import serve_in_english
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.nightly.context import NightContext
from couponpress.nightly.schedule_file import read_schedules
from couponpress.nightly.tick import Ticker
from couponpress_worker.runtime.beat import Beat
from couponpress_worker.settings import Settings

log = logging.getLogger(__name__)


@contextmanager
def nights_of(settings: Settings, path: Path) -> Iterator[None]:
    """Look after the schedules of a file until the block ends.

    Raises:
        InputError: the file cannot be read, or something in it is wrong.
    """
    file = read_schedules(path)
    serve_in_english()
    with NightContext.open(settings, file) as context:
        ticker = Ticker(context)

        def look() -> None:
            try:
                ticker.tick()
            except (RedisUnavailableError, *REDIS_AWAY) as error:  # beat says for how long
                log.warning("schedules wait for Redis: %s", error)
            except Exception:  # what one schedule does to it: the lock is kept, and the next look goes on
                log.exception("a look at the schedules failed")

        beat = Beat(settings, look)
        beat.start()
        log.info("scheduler: schedules of %s: %s", path, ", ".join(file.schedules))
        try:
            yield
        finally:
            beat.stop()
            with suppress(*REDIS_AWAY):
                ticker.close()
