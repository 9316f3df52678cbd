"""Celery's consumer of hints, which waits for Redis: it is back within a second of Redis, and logs little meanwhile.

Celery's own consumer waits up to 30 s between two tries, gives up after a hundred, and ends when a full Redis refuses a
write. It logs each of these at length. Hints may be lost on the way: the ledger knows what waits.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from billiard.common import restart_state
from billiard.exceptions import RestartFreqExceeded
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from redis.exceptions import NoPermissionError, RedisError

from couponpress.transport.redis_refusals import rights_cure

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection

log = get_logger(__name__)

RETRY_SECONDS = 1
#: What kombu logs with a traceback every second while Redis is full and no hint comes; it changes nothing for hints.
CHATTER = "maybe_refresh_binding_expiry"
#: A refusal that comes again within so long is the same one.
SAME_REFUSAL_SECONDS = 10.0


def _is_worth_saying(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(CHATTER)


class UnhurriedRestarts(restart_state):
    """Celery's count of restarts, which rests after several within a second, and does not cry out with a traceback."""

    def step(self, now: float | None = None) -> None:
        """Count a restart."""
        try:
            super().step(now)
        except RestartFreqExceeded:
            time.sleep(RETRY_SECONDS)


class PatientConsumer(Consumer):
    """Tries once a second to connect, for ever, and takes no hint while Redis is full."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as the base has it
        super().__init__(*args, **options | {"worker_options": _quiet(**options)})
        self._restart_state = UnhurriedRestarts(maxR=5, maxT=1)
        self._refused_at, self._refusal = float("-inf"), ""
        logging.getLogger("kombu.transport.redis").addFilter(_is_worth_saying)
        for part in ("consumer", "connection"):
            logging.getLogger(f"celery.worker.consumer.{part}").addFilter(lambda _: not self._is_refused)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Return the connection once it stands and can be written to."""
        conn.ensure_connection(
            self._tell,
            interval_start=RETRY_SECONDS,
            interval_step=0,
            interval_max=RETRY_SECONDS,
            callback=maybe_shutdown,
        )
        self._wait_for_room(conn)
        self.first_connection_attempt = False
        return conn

    @property
    def _is_refused(self) -> bool:
        """Whether Redis refused to give hints a moment ago: each new connection is refused as well."""
        return time.monotonic() - self._refused_at < SAME_REFUSAL_SECONDS

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of a broken connection. What Redis refuses is said once, and tried again once a second."""
        if isinstance(exc, NoPermissionError):
            if not self._is_refused or str(exc) != self._refusal:
                self._refused_at, self._refusal = float("-inf"), str(exc)  # else it would not be logged
                log.error(
                    "Redis gives no hints (%s); without them chunks are found later. Cure: %s", exc, rights_cure(exc)
                )
            self._refused_at = time.monotonic()
            maybe_shutdown()
            time.sleep(RETRY_SECONDS)
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as error:  # kombu 5.7 stumbles while it closes some of them, which would end the worker
            log.info("a broken connection could not be closed in order: %s", error)

    def _tell(self, error: Exception, _: float) -> None:
        # Later on the process itself says that Redis is away, once.
        if self.first_connection_attempt:
            self.first_connection_attempt = False
            log.warning("no hints come before Redis answers: %s", error)

    def _wait_for_room(self, conn: Connection) -> None:
        """Wait while the server refuses writes that need memory: a hint taken then would be lost at once."""
        told = False
        while (refusal := _refusal(conn)) is not None:
            if not told:
                log.warning("Redis takes no hints (%s); workers find their chunks without them", refusal)
                told = True
                self.on_ready()  # the worker is at work already: what waits needs no hints
            maybe_shutdown()
            time.sleep(RETRY_SECONDS)
        if told:
            log.info("Redis takes hints again")


def _quiet(app: Celery, worker_options: dict[str, Any] | None = None, **_: object) -> dict[str, Any]:
    """Return a worker's options; without remote control nobody listens to what workers tell each other."""
    told = worker_options or {}
    if app.conf.worker_enable_remote_control:
        return told
    return told | {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


def _refusal(conn: Any) -> RedisError | None:  # noqa: ANN401 - its channels are of any kind in kombu's types
    """Return why the server would refuse to note a hint; what is written changes nothing."""
    try:
        with conn.channel() as channel:
            channel.client.execute_command("ZADD", channel.unacked_index_key, "XX", 0, "none")
    except RedisError as error:
        return error
    return None
