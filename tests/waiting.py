"""Waiting for what happens elsewhere: in a server, another thread, behind a socket."""

import asyncio
import time


async def until(condition, seconds=30):
    """Return once a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what happens beyond the loop sets no event of it
            await asyncio.sleep(0.005)


def soon(condition, seconds=30):
    """Return once a condition holds, outside of any loop.

    Raises:
        TimeoutError: it does not.
    """
    asked = time.monotonic()
    deadline = asked + seconds
    while not condition():
        answered = time.monotonic()
        if answered > deadline:
            raise TimeoutError
        time.sleep(max(0.005, 3 * (answered - asked)))  # what costs much to ask is asked seldom
        asked = time.monotonic()
