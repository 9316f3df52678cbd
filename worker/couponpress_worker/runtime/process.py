"""Wires one process of the fleet: an event loop in a thread, Redis, the platform, and everything that uses them.

The fleet's connections are opened only here. Celery's threads hand coroutines to the loop. A process is wired after
it was forked, because nothing here survives a fork.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Self

import redis.exceptions

from couponpress.keys import PARTNER_SCOPE, Keys
from couponpress.ledger.hooks import HookLedger
from couponpress.ledger.presence import Role
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.transport.announcer import Announcer
from couponpress_worker.completion.run_webhooks import HookSender
from couponpress_worker.completion.status_poller import OverdueQuery
from couponpress_worker.events import Answered, Events, Sent
from couponpress_worker.periodic import TICK_SECONDS, Failures, keep_running
from couponpress_worker.rate.request_durations import DurationRecorder
from couponpress_worker.rate.send_log import FlightRecorder
from couponpress_worker.runtime.connections import Connections
from couponpress_worker.runtime.event_log import log_and_trace
from couponpress_worker.runtime.heartbeat import Heartbeat, directory, fleet_prefix
from couponpress_worker.runtime.key_reloader import KeyReloader
from couponpress_worker.runtime.loop_thread import LoopThread
from couponpress_worker.runtime.memory import settle
from couponpress_worker.runtime.notifying import notifying_for
from couponpress_worker.runtime.recovery import Recovery
from couponpress_worker.runtime.self_check import SelfCheck
from couponpress_worker.runtime.stall_detector import STUCK_LOOKS
from couponpress_worker.runtime.watchdog import Watchdog
from couponpress_worker.safety.auto_hold import Fault
from couponpress_worker.safety.breaker_gate import Outage
from couponpress_worker.safety.hold_listener import HoldWatch
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.store.leader import Leadership
from couponpress_worker.store.leases import give_strays_back
from couponpress_worker.store.recorder import Recorder
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND, Summary
from couponpress_worker.submission.ledger_poller import Unhinted, UrgentLane
from couponpress_worker.submission.submitter import STOPPING, Submitter

log = logging.getLogger(__name__)

#: How long a process that is stuck may take to write down what it knows.
LAST_WORDS_SECONDS = 5.0

PublishAgain = Callable[[list[str]], Awaitable[None]]


class Process:
    """One process's wiring, from `start` to `close`."""

    def __init__(
        self, settings: Settings, secret_keys: Secrets, publish_again: PublishAgain, takes_hints: bool, in_hand: int
    ) -> None:
        self._settings = settings
        self.timings = settings.timings
        self._secret_keys = secret_keys
        self._publish_again = publish_again
        self._takes_hints = takes_hints
        self._most_in_hand = in_hand
        self._role: Role = "worker" if takes_hints else "scheduler"
        self._keys = Keys(settings.mchid)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._failures = Failures()
        self._events = Events(self._failures)
        self._halt = Halt()
        self._stopped = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._loop = LoopThread("couponpress-loop")
        self._announcer = Announcer(
            settings.redis_address,
            self._keys,
            self._role,
            lambda: (self._watchdog.state, self._submitter.in_hand),
            every_seconds=settings.timings.tell_present,
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

        Without `takes_hints` it submits nothing: neither what hints lead to, nor chunks that no hint leads to.
        `most_in_hand` is how many chunks it may have in hand: the `--concurrency` of its worker.
        """
        if secret_keys.certificate and (warning := secret_keys.certificate.warning(datetime.now(UTC))):
            log.warning("%s", warning)
        process = cls(settings, secret_keys, publish_again, takes_hints, most_in_hand)
        process._loop.start()
        process._loop.call(process._open()).result()
        process._announcer.start()
        settle()
        return process

    def submit_chunk(self, chunk_id: str) -> Summary:
        """Submit a chunk from a Celery thread; returns when its lease is given back."""
        return self._loop.call(self._submit_or_pass_on(chunk_id)).result()

    def stop_sending(self) -> None:
        """Let chunks in hand be handed back at once; requests in flight end."""
        self._halt.stopping = True

    def close(self) -> None:
        """Close everything; to be called once no chunk is in hand."""
        self.stop_sending()
        self._announcer.close()
        self._loop.call(self._close()).result()
        for end in (self._watchdog.close, self._loop.close, self._end_traces):
            end()

    async def _open(self) -> None:
        """Open what requests need: the clients, the slots, the submitter; then what runs beside it."""
        settings, keys, timings, halt, tell = self._settings, self._keys, self.timings, self._halt, self._events.tell
        opened = self._opened = Connections(settings, self._secret_keys, halt, tell)
        self._recorder = Recorder(opened.leases, opened.watch.away, tell)
        outage = Outage(lambda: halt.stopping, timings=timings, tell=tell)
        self._submitter = Submitter(
            leases=opened.leases,
            fault=Fault(opened.ledger.holds, opened.ledger.queries, self._recorder, halt, tell),
            watch=opened.watch,
            recorder=self._recorder,
            slots=opened.slots,
            platform=opened.platform,
            owner=self._owner,
            publish_again=self._publish_again,
            halt=halt,
            tell=tell,
            outage=outage,
            only_brand=settings.mchid if settings.signs_as == "brand" else None,
            run_name=opened.run_names.of,
            timings=timings,
        )
        self._check = SelfCheck(
            self._events, opened, keys, halt, outage, lambda: self._submitter.in_hand, takes_hints=self._takes_hints
        )
        self._watchdog = Watchdog(
            self._role,
            Heartbeat(directory(), fleet_prefix(settings)),
            look=self._check.look,
            in_hand=lambda: self._submitter.in_hand,
            hand_back=self._last_words,
            failures=self._failures,
            every_seconds=timings.stuck / STUCK_LOOKS,
        )
        self._leadership = Leadership(opened.redis, keys.leader, self._owner, timings)
        self._notifying = notifying_for(settings, opened.redis, keys, self._owner)
        finding, in_hand = (self._submitter.submit_chunk, opened.watch.away, lambda: halt.stopping), self._most_in_hand
        self._unhinted = Unhinted(
            opened.leases, *finding, most_in_hand=in_hand, failures=self._failures, timings=timings
        )
        flight = FlightRecorder(opened.redis, keys, self._owner)
        self._events.listen(Sent, flight.sent)
        self._end_traces = log_and_trace(settings, self._role, self._events)
        self._background = [asyncio.create_task(loop) for loop in [*self._own_loops(flight), *self._leaders_loops()]]

    def _own_loops(self, flight: FlightRecorder) -> list[Coroutine[None, None, None]]:
        """Return the loops that every process runs."""
        settings, stopped, opened, away = self._settings, self._stopped, self._opened, self._opened.watch.away
        channel, begin_anew = self._keys.holds_changed, self._submitter.trial.begin_anew
        of_holds = (opened.redis, channel, opened.ledger.holds, self._halt, begin_anew, away, self.timings)
        holds = HoldWatch(*of_holds, self._events.tell, publish=self._publish_again)
        urgent = UrgentLane(opened.ledger.leases, self._submitter.submit_chunk, away, self._failures)
        durations = DurationRecorder(opened.redis, self._keys)
        self._events.listen(Answered, durations.answered)
        key_files = KeyReloader(settings, opened.renew, lambda keys: self._hooks.renew(keys.hook_secret))
        strays = (opened.leases, opened.watch, self._owner, self._publish_again)
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "hold listener": lambda: holds.run(stopped),
            "key files": lambda: key_files.run(stopped),
            "limit teller": lambda: opened.pace.tell_configured(settings.rate, stopped),
            "query limit teller": lambda: opened.query_pace.tell_configured(settings.query_rate, stopped),
            "send log": lambda: flight.run(stopped),
            "request durations": lambda: durations.run(stopped),
            "watchdog": lambda: self._watchdog.run(stopped),
            "stray leases": lambda: give_strays_back(*strays, stopped, self.timings),
        }
        if settings.signs_as == "partner":  # a brand verifies with the public key alone
            loops["certificates"] = lambda: opened.platform_keys.run(stopped)
        if self._takes_hints:
            loops["urgent lane"] = lambda: urgent.run(stopped)
            loops["unhinted chunks"] = lambda: self._unhinted.run(stopped)
        return [keep_running(name, run, stopped, self._failures) for name, run in loops.items()]

    def _leaders_loops(self) -> list[Coroutine[None, None, None]]:
        """Return the loops in which one process of the fleet works at a time."""
        settings, stopped, opened, away = self._settings, self._stopped, self._opened, self._opened.watch.away
        recovery = Recovery(opened.ledger, self._publish_again, result_ttl_seconds=settings.result_ttl)
        ledger, secret = HookLedger(opened.redis, self._keys), self._secret_keys.hook_secret
        self._hooks = HookSender(ledger, mchid=settings.mchid, secret=secret, rule=settings.proxy_rule)
        overdue = OverdueQuery(
            ledger=opened.ledger,
            platform=opened.platform,
            slots=opened.query_slots,
            callback_span_seconds=settings.callback_span,
            expire_after_seconds=settings.expire_after,
            tell=self._events.tell,
        )

        async def may_ask() -> bool:  # a process that stops does not keep the lead either
            stops = stopped.is_set() or self._halt.holds(PARTNER_SCOPE)
            return not stops and await self._leadership.mine()

        led = partial(keep_running, stopped=stopped, failures=self._failures, away=away)
        return [
            led("recovery", recovery.turn, leader=self._leadership.mine, tick_seconds=self.timings.recovery_look),
            led("status poller", lambda: overdue.turn(may_ask), leader=may_ask, tick_seconds=TICK_SECONDS),
            led("run webhooks", self._hooks.round, leader=self._leadership.mine, tick_seconds=TICK_SECONDS),
            *(self._notifying.loops(led, stopped.is_set) if self._notifying else ()),
        ]

    async def _submit_or_pass_on(self, chunk_id: str) -> Summary:
        """Submit the next chunk of the hint's lane; a process that stops gives the hint to another one instead.

        A right that Redis refuses is told with its cure. Recovery publishes the chunk again.
        """
        self._unhinted.hinted()
        try:
            summary = await self._submitter.submit_chunk(chunk_id)
        except redis.exceptions.NoPermissionError as error:
            self._failures.note("chunk of a hint", error)
            return Summary(chunk_id, "refused")
        if summary.note in {STOPPING, "capped"}:  # a hint is as good for whatever chunk is next
            with suppress(*REDIS_AWAY):  # the ledger knows what waits
                await self._publish_again([chunk_id])
        return summary

    def _last_words(self) -> None:
        """Write down the answers that are known; from the watching thread, before the process exits."""
        self.stop_sending()
        with suppress(TimeoutError):
            self._loop.call(self._recorder.flush()).result(LAST_WORDS_SECONDS)

    async def _close(self) -> None:
        self._stopped.set()
        await self._opened.hand_out_nothing()
        for ended in await asyncio.gather(*self._background, return_exceptions=True):
            if isinstance(ended, BaseException):
                log.error("a background loop of this process had failed", exc_info=ended)
        await self._recorder.flush()
        self._submitter.close()
        await self._hooks.aclose()
        with suppress(redis.exceptions.RedisError):  # the lead runs out by itself
            await self._leadership.resign()
        if self._notifying:
            await self._notifying.aclose()
        await self._opened.aclose()
