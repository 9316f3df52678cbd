"""Runs blocking calls in a few threads, so that they do not block the event loop.

When the task that awaits a call is cancelled, a call that has not begun is dropped, and one that has begun runs to its
end. A call in steps stops at its next step.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """A limited number of threads, started when needed. It belongs to no event loop."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="couponpress")

    def close(self) -> None:
        """Wait for running and waiting calls, then end the threads. Blocks."""
        self._pool.shutdown()

    async def do(self, act: Callable[[], T]) -> T:
        """Return what `act` returns. If cancelled, `act` never begins, or it finishes by itself.

        Raises:
            RuntimeError: the threads are closed.
        """
        return await asyncio.wrap_future(self._submitted(act))

    async def do_to_its_end(self, act: Callable[[], T]) -> T:
        """As `do`, for a step that must be finished: if cancelled, this returns only when the step is done."""
        done = asyncio.wrap_future(self._submitted(act))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            while not done.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([done])
            raise

    async def do_in_steps(self, act: Callable[..., T], on_progress: Callable[[int], None] | None) -> T:
        """As `do`, for an act that calls `on_progress` after each step: if cancelled, it stops at the next call."""
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def tell(count: int) -> None:
            if stopped.is_set():
                raise asyncio.CancelledError
            if on_progress is not None:
                loop.call_soon_threadsafe(on_progress, count)

        try:
            return await self.do(partial(act, on_progress=tell))
        finally:
            stopped.set()

    def _submitted(self, act: Callable[[], T]) -> Future[T]:
        # Tracers that use context variables find them in the thread as well.
        return self._pool.submit(copy_context().run, act)
