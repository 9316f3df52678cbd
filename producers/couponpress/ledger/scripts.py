"""Where the Lua files are read, so that a script's name is its file's name; and when an act may be repeated."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import redis.exceptions as redis_errors

#: Redis is away, full, or not the primary just now: nothing of the act was done, or all of it; it may be repeated.
REDIS_AWAY: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.OutOfMemoryError,
    redis_errors.ReadOnlyError,
)


#: How answers begin by which a server refuses every write for now: its disk or its replicas fail, or it is no master.
PASSING_REFUSALS: Final = ("MISCONF ", "NOREPLICAS ", "MASTERDOWN ", "UNBLOCKED ")
#: What a script begins with that a full server may run as well: it drains, or makes room. Redis 7 and later.
ALLOW_OOM: Final = "#!lua flags=allow-oom\n"


@cache
def script(name: str, room: str = "couponpress.ledger") -> str:
    """Return the text of `name`.lua, which lies beside the modules of `room`."""
    return files(room).joinpath(f"{name}.lua").read_text(encoding="utf-8")
