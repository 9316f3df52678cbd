"""Delivers callbacks to their URL: when they are due, a bounded number at once, and again until they are accepted.

An answer of 200 or 204 within 5 s accepts a callback, whatever its body says. After any other answer, an error or a
timeout the callback is sent again later, as often as its delivery allows. Redirects are not followed.

The requests go over the fleet's own transport, called directly: an `httpx.AsyncClient` costs 1.3 ms of
CPU for each callback, the transport alone 0.13 ms, and the sandbox shares its cores with the fleet that it tests.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import httpx

from couponpress_worker.sandbox.notices import Notice
from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.sandbox.signatures import Signatures
from couponpress_worker.wechatpay.transport import PlatformTransport

ANSWER_SECONDS = 5.0
#: Callbacks on the wire at once.
LANES = 64
#: Shorter than the 5 s after which uvicorn, the likely receiver, closes an idle connection.
_KEEP_ALIVE_SECONDS = 3.0
_ACCEPTED = (200, 204)
_HEADERS = ((b"Content-Type", b"application/json"), (b"User-Agent", b"Mozilla/4.0"))


@dataclass(slots=True)
class Delivery:
    """One notice and how it is delivered.

    Attributes:
        url: where it is sent.
        notice: its id and body.
        repeats_left: how often it may still be sent again.
        interval_seconds: how long to wait before it is sent again.
        probe: whether it is sent with a wrong signature first.
        signing: serial and key of the certificate that signs it; None signs with the public key's.
    """

    url: str
    notice: Notice
    repeats_left: int
    interval_seconds: float
    probe: bool = False
    signing: tuple[str, PlatformKey] | None = None


class Courier:
    """Sends deliveries. It may be made outside an event loop; it is opened and closed inside one.

    Attributes:
        counts: `sent` (accepted), `failed` (attempts that were not accepted), `given_up`, `probes`, `probes_believed`.
        waiting: callbacks that are due later or are being sent.
    """

    def __init__(self, signatures: Signatures) -> None:
        self.counts: Counter[str] = Counter()
        self.waiting = 0
        self._signatures = signatures
        self._generation = 0
        self._ready: asyncio.Queue[tuple[int, Delivery]]
        self._transports: dict[tuple[str, bytes, int | None], PlatformTransport] = {}
        self._lanes: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Start the lanes."""
        self._ready = asyncio.Queue()
        self._lanes = [asyncio.create_task(self._work()) for _ in range(LANES)]

    async def close(self) -> None:
        """Stop the lanes and close every connection. Callbacks that are being sent are dropped."""
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()

    def forget(self) -> None:
        """Drop everything that is not sent yet, and the counts."""
        self._generation += 1
        self.counts.clear()
        self.waiting = 0

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in `seconds`, unless `forget` is called before. Until then it counts as waiting."""
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
            accepted = await self._post(delivery)
            if generation == self._generation:
                self.waiting -= 1
                self._settle(delivery, accepted=accepted)

    def _settle(self, delivery: Delivery, *, accepted: bool) -> None:
        if delivery.probe:
            self.counts["probes"] += 1
            self.counts["probes_believed"] += accepted
            delivery.probe = False
            self.send(delivery)
        elif accepted:
            self.counts["sent"] += 1
        else:
            self.counts["failed"] += 1
            if delivery.repeats_left:
                delivery.repeats_left -= 1
                self.after(delivery.interval_seconds, lambda: self.send(delivery))
            else:
                self.counts["given_up"] += 1

    async def _post(self, delivery: Delivery) -> bool:
        """Send a callback once and return whether it was accepted."""
        body = delivery.notice.body
        signed = self._signatures.headers(body, probe=delivery.probe, signing=delivery.signing)
        signed["Request-ID"] = self._signatures.request_id()
        try:
            url = _parsed(delivery.url)
            headers = [(b"Host", url.netloc), *_HEADERS, (b"Content-Length", b"%d" % len(body))]
            headers += [(name.encode(), value.encode()) for name, value in signed.items()]
            request = httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._transport(url).handle_async_request(request)
        except (TimeoutError, httpx.TransportError, httpx.InvalidURL):
            return False
        return answer.status_code in _ACCEPTED

    def _transport(self, url: httpx.URL) -> PlatformTransport:
        """Return the transport that leads to a URL's host. Each host has one, which keeps its connections open."""
        origin = (url.scheme, url.raw_host, url.port)
        if origin not in self._transports:
            self._transports[origin] = PlatformTransport(
                str(url.copy_with(path="/", query=None, fragment=None)),
                connections=LANES,
                connect_seconds=ANSWER_SECONDS,
                answer_seconds=ANSWER_SECONDS,
                keep_alive_seconds=_KEEP_ALIVE_SECONDS,
            )
        return self._transports[origin]


@lru_cache(maxsize=16)
def _parsed(url: str) -> httpx.URL:
    """Return a parsed URL. Nearly all callbacks go to the same one."""
    return httpx.URL(url)
