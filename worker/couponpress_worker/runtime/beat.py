"""Celery's beat under redbeat's lock: one of all schedulers ticks, and when it is gone another one does within seconds.

Beat runs in a thread of the service, and is started again after every error. It does not know which night is due: each
tick looks at the schedules, and a night that the look starts is claimed in the ledger. So two that tick at once do no
harm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery import Celery
from celery.beat import Service
from redbeat import RedBeatScheduler

from couponpress.keys import Keys
from couponpress_worker.settings import Settings

log = logging.getLogger(__name__)

#: How often beat ticks.
TICK_SECONDS: Final = 1
#: Without a tick for so long, the one that ticked is followed by another.
LOCK_SECONDS: Final = 5


class LookingScheduler(RedBeatScheduler):  # type: ignore[misc]  # redbeat has no types
    """A beat that looks at every tick, while it has the lock."""

    def __init__(self, *args: object, look: Callable[[], None], **options: object) -> None:
        super().__init__(*args, **options)
        self._look = look

    def tick(self, *args: object, **options: object) -> float:
        """Renew the lock, do what beat does, and look; returns seconds until the next tick.

        Raises:
            redis.exceptions.LockError: another scheduler ticks now.
        """
        seconds: float = super().tick(*args, **options)
        self._look()
        return min(seconds, TICK_SECONDS)


class Beat:
    """A thread in which beat ticks, from `start` to `stop`."""

    def __init__(self, settings: Settings, look: Callable[[], None]) -> None:
        self._settings = settings
        self._look = look
        self._stopped = threading.Event()
        self._looks = False
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        """Begin to wait for the lock, and to tick once it is there."""
        self._thread.start()

    def stop(self) -> None:
        """Tick no more; the lock runs out by itself, and the thread ends with the process."""
        self._stopped.set()

    def _run(self) -> None:
        # It says each second that it begins, while Redis is away.
        logging.getLogger("celery.beat").setLevel(logging.WARNING)
        said = ""
        while not self._stopped.is_set():
            self._looks = False
            try:
                self._service().start()
            except Exception as error:  # noqa: BLE001 - whatever it was: nothing is scheduled without it
                trouble = f"{type(error).__name__}: {error}"
                if self._looks or trouble != said:
                    log.warning("this scheduler does not look at the schedules now (%s)", trouble)
                said = trouble
            self._stopped.wait(TICK_SECONDS)

    def _service(self) -> Service:
        address = self._settings.redis_address
        app: Any = Celery("couponpress-beat", set_as_current=False)
        app.conf.update(
            beat_max_loop_interval=TICK_SECONDS,
            redbeat_key_prefix=Keys(self._settings.mchid).beat,
            redbeat_lock_timeout=LOCK_SECONDS,
            redbeat_redis_url=self._settings.redis_url,
            redbeat_redis_options={},
        )
        # It would make a client from the address, and knows only some of the forms that ours may have.
        app.redbeat_redis = address.client(decode_responses=True, socket_timeout=5, socket_connect_timeout=5)
        scheduler: Any = partial(LookingScheduler, look=self._guarded)
        return Service(app, scheduler_cls=scheduler)

    def _guarded(self) -> None:
        if self._stopped.is_set():
            raise SystemExit  # ends beat's loop, and gives the lock back
        if not self._looks:
            self._looks = True
            log.info("this scheduler looks at the schedules from now on")
        self._look()
