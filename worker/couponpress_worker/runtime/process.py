"""What one process of the fleet holds open: an event loop in a thread, Redis, the platform and their users.

The fleet's connections are opened only here. Celery's threads hand coroutines to the loop. A process is wired after
it was forked, because nothing here survives a fork.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import redis.exceptions
import uvloop

from couponpress.keys import PARTNER_SCOPE, Keys
from couponpress.ledger.hooks import HookLedger
from couponpress.ledger.presence import Role
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.ledger.working import WorkLedger
from couponpress.transport.announcer import Announcer
from couponpress_worker.completion.run_webhooks import HookSender
from couponpress_worker.completion.status_poller import OverdueQuery
from couponpress_worker.events import Events, Sent
from couponpress_worker.periodic import Failures, keep_running
from couponpress_worker.rate.send_log import FlightRecorder
from couponpress_worker.runtime.factories import limiter_redis_for, paced, platform_for, redis_for
from couponpress_worker.runtime.heartbeat import Heartbeat, directory, fleet_prefix
from couponpress_worker.runtime.recovery import recover
from couponpress_worker.runtime.self_check import SelfCheck
from couponpress_worker.runtime.stall_detector import STUCK_LOOKS
from couponpress_worker.runtime.watchdog import Watchdog
from couponpress_worker.safety.auto_hold import Fault
from couponpress_worker.safety.breaker_gate import Outage
from couponpress_worker.safety.hold_listener import HoldWatch
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.store.leader import Leadership
from couponpress_worker.store.leases import Leases, give_strays_back
from couponpress_worker.store.recorder import Recorder
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND, Summary
from couponpress_worker.submission.ledger_poller import Unhinted, UrgentLane
from couponpress_worker.submission.submitter import STOPPING, Submitter
from couponpress_worker.wechatpay.certificates import PlatformKeys, VerifierOf
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer

log = logging.getLogger(__name__)

#: How long a process that is stuck may take to write down what it knows.
LAST_WORDS_SECONDS = 5.0

Result = TypeVar("Result")
PublishAgain = Callable[[list[str]], Awaitable[None]]


class Process:
    """One process's wiring, from `start` to `close`."""

    def __init__(
        self,
        settings: Settings,
        secret_keys: Secrets,
        publish_again: PublishAgain,
        *,
        takes_hints: bool = True,
        most_in_hand: int = CHUNKS_IN_HAND,
    ) -> None:
        self._settings = settings
        self.timings = settings.timings
        self._takes_hints = takes_hints
        self._most_in_hand = most_in_hand
        self._failures = Failures()
        self._events = Events(self._failures)
        self._secret_keys = secret_keys
        self._publish_again = publish_again
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="couponpress-loop", daemon=True)
        self._halt = Halt()
        self._stopped = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._submitter: Submitter
        self._watchdog: Watchdog
        role: Role = "worker" if takes_hints else "scheduler"
        self._announcer = Announcer(
            settings.redis_address,
            Keys(settings.mchid),
            role,
            lambda: (self._watchdog.state, self._submitter.in_hand),
        )

    @classmethod
    def start(
        cls,
        settings: Settings,
        secret_keys: Secrets,
        publish_again: PublishAgain,
        *,
        takes_hints: bool = True,
        most_in_hand: int = CHUNKS_IN_HAND,
    ) -> Self:
        """Wire this process and begin to look after what others left behind.

        Without `takes_hints`, hints that wait in the queues are no work of its own, nor are chunks that no hint leads
        to. `most_in_hand` is how many chunks it may have in hand: the `--concurrency` of its worker.
        """
        process = cls(settings, secret_keys, publish_again, takes_hints=takes_hints, most_in_hand=most_in_hand)
        process._thread.start()
        process._call(process._open()).result()
        process._announcer.start()
        gc.collect()
        gc.freeze()  # a full collection over everything imported would make slots late
        return process

    def submit_chunk(self, chunk_id: str) -> Summary:
        """Submit a chunk from a Celery thread; returns when its lease is given back."""
        return self._call(self._submit_or_pass_on(chunk_id)).result()

    def stop_sending(self) -> None:
        """Let chunks in hand be handed back at once; requests in flight end."""
        self._halt.stopping = True

    def close(self) -> None:
        """Close everything; to be called once no chunk is in hand."""
        self.stop_sending()
        self._announcer.close()
        self._call(self._close()).result()
        self._watchdog.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _open(self) -> None:
        settings, keys, timings = self._settings, Keys(self._settings.mchid), self.timings
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._redis = redis_for(settings)
        self._limiter_redis = limiter_redis_for(settings)
        self._ledger = WorkLedger(
            self._redis, keys, lease_ms=round(timings.lease * 1000), take_up_ms=round(timings.take_up * 1000)
        )
        secret = self._secret_keys
        if secret.certificate and (warning := secret.certificate.warning(datetime.now(UTC))):
            log.warning("%s", warning)
        self._platform_keys = PlatformKeys(secret.public_keys, secret.apiv3_key, self._ask_for_certificates)
        self._platform = platform_for(settings, secret, self._platform_keys.keys)
        self._watch = RedisWatch(lambda: self._try_redis(keys), lambda: self._halt.stopping)
        away = self._watch.away
        leases = Leases(self._ledger, self._watch)
        self._recorder = Recorder(leases, away)
        asking = (settings, self._limiter_redis, keys)
        patient = self._watch.patient
        self._pace, self._slots = paced(*asking, "submit", settings.rate, patient)
        self._query_pace, self._query_slots = paced(*asking, "query", settings.query_rate, patient)
        flight = FlightRecorder(self._redis, keys, owner)
        self._events.listen(Sent, flight.sent)
        outage = Outage(lambda: self._halt.stopping, timings=timings)
        self._submitter = Submitter(
            leases=leases,
            fault=Fault(self._ledger.holds, self._ledger.queries, self._recorder, self._halt),
            watch=self._watch,
            recorder=self._recorder,
            slots=self._slots,
            platform=self._platform,
            owner=owner,
            publish_again=self._publish_rest,
            halt=self._halt,
            tell=self._events.tell,
            outage=outage,
            only_brand=settings.mchid if settings.signs_as == "brand" else None,
            timings=timings,
        )
        self._check = SelfCheck(
            self._events,
            client=self._limiter_redis,
            keys=keys,
            pace=self._pace,
            halt=self._halt,
            watch=self._watch,
            outage=outage,
            in_hand=lambda: self._submitter.in_hand,
            takes_hints=self._takes_hints,
        )
        self._watchdog = Watchdog(
            "worker" if self._takes_hints else "scheduler",
            Heartbeat(directory(), fleet_prefix(settings)),
            look=self._check.look,
            in_hand=lambda: self._submitter.in_hand,
            hand_back=self._last_words,
            failures=self._failures,
            every_seconds=timings.stuck / STUCK_LOOKS,
        )
        overdue = OverdueQuery(
            ledger=self._ledger,
            platform=self._platform,
            slots=self._query_slots,
            callback_span_seconds=settings.callback_span,
            expire_after_seconds=settings.expire_after,
            tell=self._events.tell,
        )
        hooks = HookSender(
            HookLedger(self._redis, keys), mchid=settings.mchid, secret=secret.hook_secret, rule=settings.proxy_rule
        )
        self._leadership = Leadership(self._redis, keys.leader, owner, timings)
        holds = HoldWatch(
            self._redis,
            keys.holds_changed,
            self._ledger.holds,
            self._halt,
            self._submitter.trial.begin_anew,
            away,
            timings,
        )
        recovery = asyncio.create_task(
            recover(
                self._ledger,
                self._leadership,
                self._publish_again,
                result_ttl_seconds=settings.result_ttl,
                stopped=self._stopped,
                away=away,
                failures=self._failures,
                timings=timings,
            )
        )

        def asks_nothing() -> bool:  # nor keeps the lead for a recovery that has ended
            return recovery.done() or self._halt.holds(PARTNER_SCOPE)

        urgent = UrgentLane(self._ledger.leases, self._submitter.submit_chunk, away, self._failures)
        self._unhinted = Unhinted(
            leases,
            self._submitter.submit_chunk,
            away,
            lambda: self._halt.stopping,
            most_in_hand=self._most_in_hand,
            failures=self._failures,
            timings=timings,
        )
        stopped = self._stopped
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "hold listener": lambda: holds.run(stopped),
            "limit teller": lambda: self._pace.tell_configured(settings.rate, stopped),
            "query limit teller": lambda: self._query_pace.tell_configured(settings.query_rate, stopped),
            "send log": lambda: flight.run(stopped),
            "watchdog": lambda: self._watchdog.run(stopped),
            "run webhooks": lambda: hooks.run(self._leadership, stopped, away),
            "urgent lane": lambda: urgent.run(stopped),
            "status poller": lambda: overdue.run(self._leadership, asks_nothing, stopped, away, self._failures),
            "stray leases": lambda: give_strays_back(leases, self._watch, owner, self._publish_again, stopped, timings),
        }
        if settings.signs_as == "partner":  # a brand verifies with the public key alone
            loops["certificates"] = lambda: self._platform_keys.run(stopped)
        if self._takes_hints:
            loops["unhinted chunks"] = lambda: self._unhinted.run(stopped)
        self._background = [recovery]
        for name, run in loops.items():
            self._background.append(asyncio.create_task(keep_running(name, run, stopped, self._failures)))

    async def _try_redis(self, keys: Keys) -> None:
        """Make a write that changes nothing, over a new connection: all that can refuse a write refuses it too."""
        async with redis_for(self._settings) as client:
            reply = client.hdel(keys.holds, "")
            if not isinstance(reply, int):  # redis-py's types leave open whether it must be waited for
                await reply

    async def _ask_for_certificates(self, verifier_of: VerifierOf) -> Answer | NoAnswer:
        return await self._platform.certificates(verifier_of)

    async def _publish_rest(self, chunk_ids: list[str]) -> None:
        """Publish chunks that are handed on; while that cannot be done they are found without a hint."""
        try:
            await self._publish_again(chunk_ids)
        except REDIS_AWAY as error:
            self._watch.away(error)

    async def _submit_or_pass_on(self, chunk_id: str) -> Summary:
        """Submit a chunk; a process that stops gives the hint to another one instead."""
        self._unhinted.hinted()
        summary = await self._submitter.submit_chunk(chunk_id)
        if summary.note == STOPPING:
            with suppress(*REDIS_AWAY):  # the ledger knows what waits
                await self._publish_again([chunk_id])
        return summary

    def _last_words(self) -> None:
        """Write down the answers that are known; from the watching thread, before the process exits."""
        self.stop_sending()
        with suppress(TimeoutError):
            self._call(self._recorder.flush()).result(LAST_WORDS_SECONDS)

    async def _close(self) -> None:
        self._stopped.set()
        await self._watch.close()
        await self._slots.close()
        await self._query_slots.close()
        await self._pace.close()
        await self._query_pace.close()
        for ended in await asyncio.gather(*self._background, return_exceptions=True):
            if isinstance(ended, BaseException):
                log.error("a background loop of this process had failed", exc_info=ended)
        await self._recorder.flush()
        self._submitter.close()
        with suppress(redis.exceptions.RedisError):  # the lead runs out by itself
            await self._leadership.resign()
        await self._platform.aclose()
        await self._limiter_redis.aclose()
        await self._redis.aclose()
