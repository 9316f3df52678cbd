"""Signs requests: in the event loop while the process has time to spare, in threads of their own while it has not.

A signature takes OpenSSL a third of a millisecond or more, and lets go of Python's global lock meanwhile. A thread
beside the loop then takes the lock again and again from the loop, which costs a tenth of a submission's CPU. So the
loop signs by itself, a few requests at a time, and what is due goes in between. Chunks that are in hand together take
turns: if all of them signed between two looks, slots would be late. When the process is busy for most of a second, its
rate is worth more than its CPU: threads sign then, one for each lane, so that an urgent spec waits for no bulk
signature. With a single core there is nothing to gain by threads.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Signed = TypeVar("Signed")

#: How many requests the loop signs before it looks at what is due: one turn of the loop costs about 10 µs.
AT_A_TIME = 3
#: How often it is decided where to sign, seconds.
DECIDE_EVERY_SECONDS = 1.0
#: Threads sign once the process uses more than this share of one core,
BUSY = 0.75
#: and until it uses less than this.
EASED = 0.5


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Signers(Generic[Signed]):
    """Signs the bodies of several lanes; for one event loop.

    Attributes:
        in_threads: whether threads sign just now.
    """

    def __init__(
        self,
        lanes: Iterable[str],
        sign: Callable[[bytes], Signed],
        *,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """Keep the values; no thread is started before it is needed.

        Args:
            lanes: the names of all lanes.
            sign: signs one body; safe in any thread.
            cores: how many the process may run on; None asks the kernel.
            clock: seconds that never go back.
            cpu: seconds of CPU that the process used so far.
        """
        self.in_threads = False
        self._sign = sign
        self._cores = _cores() if cores is None else cores
        self._clock = clock
        self._cpu = cpu
        self._looked_at, self._used = clock(), cpu()
        self._turn = asyncio.Lock()
        self._threads = {lane: ThreadPoolExecutor(1, thread_name_prefix=f"couponpress-sign-{lane}") for lane in lanes}

    async def sign(self, lane: str, bodies: Sequence[bytes]) -> list[Signed]:
        """Sign bodies of a lane, and let whatever else is due go meanwhile."""
        self._decide()
        if self.in_threads:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads[lane], lambda: [self._sign(body) for body in bodies])
        signed: list[Signed] = []
        for first in range(0, len(bodies), AT_A_TIME):
            async with self._turn:
                signed += map(self._sign, bodies[first : first + AT_A_TIME])
                await asyncio.sleep(0)
        return signed

    def close(self) -> None:
        """End the threads; to be called once nobody signs any more."""
        for thread in self._threads.values():
            thread.shutdown()

    def _decide(self) -> None:
        now = self._clock()
        if (passed := now - self._looked_at) < DECIDE_EVERY_SECONDS:
            return
        used = self._cpu()
        share = (used - self._used) / passed
        self._looked_at, self._used = now, used
        self.in_threads = self._cores > 1 and share > (EASED if self.in_threads else BUSY)
