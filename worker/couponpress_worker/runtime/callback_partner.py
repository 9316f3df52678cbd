"""Receives the callbacks of one partner, with its keys, its Redis and its sign of life.

A receiver may serve several partners; each of them is one `PartnerCallbacks`, which shares nothing with the others.
While the key files of a partner cannot be used, its callbacks are answered with 503, so that the platform repeats them.
The files are looked at again and again, and taken up when they are in order. The log lines of a partner carry its id.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from functools import partial

from redis.asyncio import Redis
from structlog.contextvars import bound_contextvars

from couponpress.errors import CouponpressError
from couponpress.keys import Keys
from couponpress.ledger.notices import NoticeLedger
from couponpress.ledger.working import WorkLedger
from couponpress.stopping import rest
from couponpress.transport.announcer import Announcer
from couponpress.transport.batching import Batcher
from couponpress.transport.server_check import check_server
from couponpress_worker.completion.callback import CALLBACK_PATH, CallbackReceiver, Reply
from couponpress_worker.completion.completer import Completer
from couponpress_worker.completion.forwarding import ForwardedOnce, Forwarder
from couponpress_worker.errors import KeyFileError
from couponpress_worker.events import Events
from couponpress_worker.periodic import TICK_SECONDS, Failures, keep_running
from couponpress_worker.runtime.factories import callback_redis_for, platform_for, signer_for, traces_of
from couponpress_worker.runtime.heartbeat import KEYS_UNUSABLE, Beat, Heartbeat, directory, fleet_prefix
from couponpress_worker.runtime.key_reloader import KeyReloader
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.certificates import PlatformKeys
from couponpress_worker.wechatpay.signing import Verifier

log = logging.getLogger(__name__)

NO_KEYS = Reply(503, "the keys of this partner cannot be used, please repeat")


class PartnerCallbacks:
    """Answers the callbacks of one partner; for one event loop.

    Attributes:
        settings: the partner's.
        events: hears what happens to its callbacks.
        path: where its callbacks go in a receiver of several partners.
    """

    def __init__(self, settings: Settings, *, alone: bool) -> None:
        """Read the key files.

        Args:
            settings: the partner's.
            alone: whether the receiver serves this partner only.

        Raises:
            KeyFileError: a key file cannot be used, and the partner is alone.
        """
        self.settings = settings
        self.path = f"{CALLBACK_PATH}/{settings.mchid}"
        self._failures = Failures()
        self.events = Events(self._failures)
        self._redis = callback_redis_for(settings)
        self._keys, every_seconds = Keys(settings.mchid), settings.timings.tell_present
        self._announcer = Announcer(settings.redis_address, self._keys, "callback", every_seconds=every_seconds)
        self._named = {} if alone else {"partner": settings.mchid}
        self._heartbeat = Heartbeat(directory(), fleet_prefix(settings))
        self._stopped = asyncio.Event()
        self._with_keys: _WithKeys | None = None
        self._reloader = KeyReloader(settings, self._take)  # before they are read: no change is missed
        try:
            self._take(Secrets.read(settings))
        except KeyFileError as error:
            if alone:
                raise
            told = "partner %s: its callbacks are answered with 503, for a key file cannot be used: %s"
            log.error(told, settings.mchid, error)  # noqa: TRY400 - a sentence
        self._end_traces = traces_of(settings, "callback", self.events)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one callback."""
        if self._with_keys is None:
            return NO_KEYS
        with bound_contextvars(**self._named):
            return await self._with_keys.receiver.receive(headers, body)

    async def begin(self) -> None:
        """Say that the receiver runs, and keep the keys and the sign of life up to date from now on.

        Raises:
            CouponpressError: Redis cannot be used, and the partner is alone.
        """
        address, shown = self.settings.redis_address, self.settings.redis_url_shown
        try:
            await asyncio.to_thread(check_server, address, shown, self._keys, "callback")
        except CouponpressError as error:
            if not self._named:
                raise
            log.error("partner %s: its callbacks are answered with 503: %s", self.settings.mchid, error)  # noqa: TRY400 - a sentence
        self._announcer.start()
        self._running = asyncio.create_task(self._run())

    async def end(self) -> None:
        """End what `begin` began, close every connection, and send the last traces."""
        self._stopped.set()
        await self._running
        await asyncio.to_thread(self._announcer.close)
        await asyncio.to_thread(self._end_traces)

    async def _run(self) -> None:
        stopped = self._stopped
        with bound_contextvars(**self._named):
            loops = [
                keep_running("key files", lambda: self._reloader.run(stopped), stopped, self._failures),
                keep_running("heartbeat", self._beat, stopped, self._failures, tick_seconds=TICK_SECONDS),
            ]
            if self.settings.signs_as == "partner":  # a brand verifies with the public key alone
                loops.append(keep_running("certificates", lambda: self._fetch(stopped), stopped, self._failures))
            running = asyncio.gather(*loops)
        await stopped.wait()
        if self._with_keys is not None:
            await self._with_keys.aclose()
        await running
        self._heartbeat.close()
        await self._redis.aclose()

    def _take(self, read: Secrets) -> None:
        if self._with_keys is None:
            self._with_keys = _WithKeys(self.settings, read, self._redis, self.events)
        else:
            self._with_keys.renew(read)

    async def _fetch(self, stopped: asyncio.Event) -> None:
        while self._with_keys is None and not stopped.is_set():
            await rest(stopped, TICK_SECONDS)
        if self._with_keys is not None:
            await self._with_keys.platform_keys.run(stopped)

    async def _beat(self) -> None:
        if self._with_keys is None:
            state = KEYS_UNUSABLE
        else:
            state = "receiving" if self._with_keys.receiver.storing else "Redis away"
        self._heartbeat.write(Beat("callback", os.getpid(), state, 0, 0, time.time(), dict(self._failures.counts)))


class _WithKeys:
    """What works with a partner's keys, and takes new ones."""

    def __init__(self, settings: Settings, read: Secrets, redis_client: Redis, events: Events) -> None:
        self._settings = settings
        self._signer = signer_for(settings, read)
        self._platform = platform_for(settings, read, signer=self._signer)
        self.platform_keys = PlatformKeys(read.public_keys, read.apiv3_key, self._platform.certificates)
        keys = Keys(settings.mchid)
        notices, ledger = NoticeLedger(redis_client, keys), WorkLedger(redis_client, keys)
        forward_url = settings.callback_forward_url
        self._forwarder = Forwarder(forward_url, rule=settings.proxy_rule) if forward_url else None
        counted: Batcher[str, None] = Batcher(partial(_count_all, notices))
        self.receiver = CallbackReceiver(
            verifier=Verifier(self.platform_keys.keys),
            apiv3_key=read.apiv3_key,
            completer=Completer(ledger.queries, ledger.moves, events.tell),
            count=counted.put,
            note_echo=notices.note_echo,
            forward=ForwardedOnce(self._forwarder.forward, notices).forward if self._forwarder else None,
            missing=self.platform_keys.missing,
            tell=events.tell,
        )

    def renew(self, read: Secrets) -> None:
        """Work with other keys from now on."""
        self._signer.renew(read.serial_no(self._settings), read.private_key)
        self.platform_keys.renew(read.public_keys, read.apiv3_key)
        self.receiver.renew(read.apiv3_key)

    async def aclose(self) -> None:
        """Close the connections to the platform and to the receiver of other callbacks."""
        await self._platform.aclose()
        if self._forwarder is not None:
            await self._forwarder.aclose()


async def _count_all(notices: NoticeLedger, kinds: list[str]) -> list[None]:
    await notices.count(kinds)
    return [None] * len(kinds)
