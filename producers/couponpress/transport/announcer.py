"""Says in Redis every few seconds that this process runs, from a thread of its own, until it stops.

While Redis is away nothing is said, and nothing else of the process is touched by it: the thread has a client of its
own, and tries again.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Self

import redis

from couponpress.keys import Keys
from couponpress.ledger.presence import TELL_EVERY_SECONDS, PresenceLedger, Present, Role
from couponpress.transport.redis_address import RedisAddress

log = logging.getLogger(__name__)

State = Callable[[], tuple[str, int]]


def _nothing_special() -> tuple[str, int]:
    return "", 0


@cache
def _name(pid: int) -> str:
    """Return the name of this process: one for all that announce it; several machines may have one host name."""
    return f"{socket.gethostname()}:{pid}:{secrets.token_hex(4)}"


def announce_start(address: RedisAddress, keys: Keys, role: Role) -> None:
    """Say once that this process starts, before its `Announcer` takes over: loading everything takes seconds.

    Nothing is raised when Redis does not take it.
    """
    with address.client(socket_timeout=2, socket_connect_timeout=2) as client, suppress(redis.RedisError, OSError):
        told = Present(role, socket.gethostname(), os.getpid(), "starting")
        PresenceLedger(client, keys, _name(os.getpid())).tell(told)


class Announcer:
    """Announces one process for the length of a block, or between `start` and `close`."""

    def __init__(
        self,
        address: RedisAddress,
        keys: Keys,
        role: Role,
        state: State = _nothing_special,
        *,
        every_seconds: float | None = None,
    ) -> None:
        """Take what is announced.

        Args:
            address: where Redis is.
            keys: the partner's names in Redis.
            role: what this process is.
            state: returns what it does, in a word or two, and how many chunks it has in hand.
            every_seconds: how often; TELL_EVERY_SECONDS if None.
        """
        self._client = address.client(socket_timeout=2, socket_connect_timeout=2)
        self._ledger = PresenceLedger(self._client, keys, _name(os.getpid()))
        self._role = role
        self._state = state
        self._every_seconds = TELL_EVERY_SECONDS if every_seconds is None else every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="couponpress-announcer", daemon=True)

    def start(self) -> None:
        """Begin to announce."""
        self._thread.start()

    def close(self) -> None:
        """Say that the process stops, and end."""
        self._stopped.set()
        self._thread.join()
        self._client.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        refused = ""
        while True:
            try:
                state, in_hand = self._state()
                self._ledger.tell(Present(self._role, socket.gethostname(), os.getpid(), state, in_hand))
                refused = ""
            except (redis.RedisError, OSError) as error:  # Redis is away: whoever needs it says so
                if isinstance(error, redis.ResponseError) and str(error) != refused:
                    refused = str(error)
                    log.warning("Redis does not take that this process runs: %s", error)
            if self._stopped.wait(self._every_seconds):
                break
        try:
            self._ledger.leave()
        except (redis.RedisError, OSError):
            log.debug("it could not be said that this process stops", exc_info=True)
