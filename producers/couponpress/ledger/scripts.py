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


@cache
def script(name: str) -> str:
    """Return the text of `name`.lua."""
    return files("couponpress.ledger").joinpath(f"{name}.lua").read_text(encoding="utf-8")
