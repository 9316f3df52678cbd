"""Reads the Lua files by their names, and knows after which errors of Redis an act may be repeated.

A script whose header says `-- Needs NAME.lua` begins with that file, which defines one function.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

import redis.exceptions as redis_errors

#: Redis is away, full, or not the primary just now. The act was done as a whole or not at all, and may be repeated.
REDIS_AWAY: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.OutOfMemoryError,
    redis_errors.ReadOnlyError,
)


#: The beginnings of errors by which a server refuses every write for a while: its disk or replicas fail, or it is no
#: master.
PASSING_REFUSALS: Final = ("MISCONF ", "NOREPLICAS ", "MASTERDOWN ", "UNBLOCKED ")
#: The first line of a script that a full server also runs, because it frees memory. Redis 7 and later.
ALLOW_OOM: Final = "#!lua flags=allow-oom\n"
#: What other scripts begin with that name them.
SHARED: Final = ("in_force", "note_act", "note_event", "flows")
_NEEDS = re.compile(rf"^-- Needs ({'|'.join(SHARED)})\.lua$", re.MULTILINE)


@cache
def script(name: str, room: str = "couponpress.ledger") -> str:
    """Return the text of `name`.lua, which lies beside the modules of `room`, after the shared ones that it needs."""
    text = files(room).joinpath(f"{name}.lua").read_text(encoding="utf-8")
    return "".join([script(needed) for needed in _NEEDS.findall(text)] + [text])
