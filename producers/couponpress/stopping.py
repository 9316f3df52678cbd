"""Lets a loop of a service rest, and end at once when the service is stopped."""

import asyncio
from contextlib import suppress


async def rest(stopped: asyncio.Event, seconds: float) -> None:
    """Sleep, unless the process is stopped. Loops end this way, for a cancelled Redis call may swallow it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopped.wait()
