"""Loops that run again and again until their process is stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress

#: How often a loop runs that looks after something once a second; retries are released with this precision.
TICK_SECONDS = 1.0


async def rest(stopped: asyncio.Event, seconds: float) -> None:
    """Sleep, unless the process is stopped. Loops end this way, for a cancelled Redis call may swallow it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopped.wait()
