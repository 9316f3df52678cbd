"""Waiting in a loop for what happens beyond it: in a server, another thread, behind a socket."""

import asyncio


async def until(condition, seconds=30):
    """Return once a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what happens beyond the loop sets no event of it
            await asyncio.sleep(0.005)
