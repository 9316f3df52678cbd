"""Delivers callbacks to their URL: in time, a bounded number at once, and again until they are accepted.

Rules: 200 or 204 within 5 s is accepted, whatever the body says; everything else is sent again later.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from couponpress_worker.sandbox.notices import Notice
from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.sandbox.signatures import Signatures

ANSWER_SECONDS = 5.0
#: Callbacks on the wire at once.
LANES = 64
#: Shorter than the 5 s after which uvicorn, the likely receiver, closes an idle connection.
_KEEP_ALIVE_SECONDS = 3.0
_TAKEN = (200, 204)


@dataclass(slots=True)
class Delivery:
    """One notice on its way.

    Attributes:
        url: where it goes.
        notice: what it says.
        repeats_left: how often it may still be sent again.
        interval_seconds: how long it waits before that.
        probe: it goes with a wrong signature first.
        signing: serial and key of the certificate that signs it; None signs with the public key's.
    """

    url: str
    notice: Notice
    repeats_left: int
    interval_seconds: float
    probe: bool = False
    signing: tuple[str, PlatformKey] | None = None


class Courier:
    """Sends deliveries; made outside an event loop, opened and closed inside one.

    Attributes:
        counts: `sent` (taken), `failed` (tries that were not taken), `given_up`, `probes`, `probes_believed`.
        waiting: callbacks that are due later or on their way.
    """

    def __init__(self, signatures: Signatures) -> None:
        self.counts: Counter[str] = Counter()
        self.waiting = 0
        self._signatures = signatures
        self._generation = 0
        self._ready: asyncio.Queue[tuple[int, Delivery]]
        self._session: aiohttp.ClientSession
        self._lanes: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Be ready to send."""
        self._ready = asyncio.Queue()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=LANES, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "User-Agent": "Mozilla/4.0"},
        )
        self._lanes = [asyncio.create_task(self._work()) for _ in range(LANES)]

    async def close(self) -> None:
        """Drop what is under way."""
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._session.close()

    def forget(self) -> None:
        """Drop everything that is not sent yet, and the counts."""
        self._generation += 1
        self.counts.clear()
        self.waiting = 0

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in `seconds`, unless everything is forgotten before. Until then it counts as waiting."""
        self.waiting += 1
        asyncio.get_running_loop().call_later(seconds, self._act, self._generation, act)

    def send(self, delivery: Delivery) -> None:
        """Send as soon as a lane is free."""
        self.waiting += 1
        self._ready.put_nowait((self._generation, delivery))

    def _act(self, generation: int, act: Callable[[], None]) -> None:
        if generation == self._generation:
            self.waiting -= 1
            act()

    async def _work(self) -> None:
        while True:
            generation, delivery = await self._ready.get()
            if generation != self._generation:
                continue
            taken = await self._post(delivery)
            if generation == self._generation:
                self.waiting -= 1
                self._settle(delivery, taken=taken)

    def _settle(self, delivery: Delivery, *, taken: bool) -> None:
        if delivery.probe:
            self.counts["probes"] += 1
            self.counts["probes_believed"] += taken
            delivery.probe = False
            self.send(delivery)
        elif taken:
            self.counts["sent"] += 1
        else:
            self.counts["failed"] += 1
            if delivery.repeats_left:
                delivery.repeats_left -= 1
                self.after(delivery.interval_seconds, lambda: self.send(delivery))
            else:
                self.counts["given_up"] += 1

    async def _post(self, delivery: Delivery) -> bool:
        body = delivery.notice.body
        headers = self._signatures.headers(body, probe=delivery.probe, signing=delivery.signing)
        headers["Request-ID"] = self._signatures.request_id()
        try:
            async with self._session.post(delivery.url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                return answer.status in _TAKEN
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
