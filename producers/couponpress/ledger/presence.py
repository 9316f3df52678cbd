"""Which processes run: each service says so in Redis every few seconds, so that a person can be told what is missing.

Nothing of the work depends on it: a process that is not heard may be alive, and one that is heard may be stuck. Moments
are on Redis's clock, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal, cast

import redis

from couponpress.keys import Keys
from couponpress.ledger.scripts import ALLOW_OOM, script
from couponpress.ledger.stored import from_stored

#: How often a process says that it runs.
TELL_EVERY_SECONDS: Final = 3.0
#: A process that has not said so for this long counts as gone.
SILENT_SECONDS: Final = 15
_KEPT_SECONDS: Final = 60
#: A goodbye is kept for so long, for whoever tells people of processes that are gone without one.
_LEFT_SECONDS: Final = 86400

Role = Literal["worker", "scheduler", "callback", "gateway"]


@dataclass(frozen=True, slots=True)
class Present:
    """A process that runs.

    Attributes:
        role: `worker`, `scheduler`, `callback` or `gateway`.
        host: the name of its machine.
        pid: its process id there.
        state: what it does, in a word or two; see `couponpress health`.
        in_hand: how many chunks it has in hand.
    """

    role: Role
    host: str
    pid: int
    state: str = ""
    in_hand: int = 0


class PresenceLedger:
    """The side of a service, over a blocking client."""

    def __init__(self, client: redis.Redis, keys: Keys, owner: str) -> None:
        """Take the client, and a name that no other process has."""
        self._names = [keys.present, keys.left]
        self._owner = owner
        # A full server takes it as well: it is small, and people need to know then which processes run.
        self._tell = client.register_script(ALLOW_OOM + script("tell_present"))

    def tell(self, present: Present) -> None:
        """Say that this process runs.

        Raises:
            redis.RedisError: Redis did not take it.
        """
        told = json.dumps(asdict(present), ensure_ascii=False)
        self._tell(self._names, [self._owner, told, SILENT_SECONDS, _KEPT_SECONDS, _LEFT_SECONDS])

    def leave(self) -> None:
        """Say that this process stops.

        Raises:
            redis.RedisError: Redis did not take it; after SILENT_SECONDS nobody counts on the process any more.
        """
        self._tell(self._names, [self._owner, "", SILENT_SECONDS, _KEPT_SECONDS, _LEFT_SECONDS])


def read_present(client: redis.Redis, keys: Keys) -> list[Present]:
    """Return the processes that run, ordered by role, machine and process id."""
    pipeline = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.hgetall(keys.present)
    now, told = cast(tuple[tuple[int, int], Mapping[bytes, bytes]], pipeline.execute())
    return present_of(told, now[0])


def present_of(told: Mapping[bytes, bytes], now_seconds: int) -> list[Present]:
    """Return the processes that run, from what is stored and the moment on Redis's clock; ordered as `read_present`."""
    found = []
    for value in told.values():
        moment, _, said = value.partition(b" ")
        if now_seconds - int(moment) <= SILENT_SECONDS:
            found.append(from_stored(Present, json.loads(said)))
    return sorted(found, key=lambda one: (one.role, one.host, one.pid))
