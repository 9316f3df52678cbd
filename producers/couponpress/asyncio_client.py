"""The client for asyncio: the same methods as `Client`, and none of them blocks the event loop.

A few threads do the work with one `Client`. A call that is cancelled is still finished by its thread. A second
implementation for asyncio would be no quicker: most of a call is this process's own work, and Celery, which carries
the hint, has no asyncio interface. Handing a call to a thread has a price; docs/python.md has the figures.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, aclosing
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self

from couponpress.client import AnySpec, Client, Receipt, brand_of
from couponpress.errors import CouponpressError
from couponpress.keys import Lane
from couponpress.ledger.attribution import Actor
from couponpress.ledger.audit import AuditEntry
from couponpress.ledger.batches import batches, is_batch
from couponpress.ledger.chosen import BulkAct, Chosen
from couponpress.ledger.enqueueing import EnqueuedSpec
from couponpress.ledger.lookup import SpecHistory
from couponpress.ledger.progress import Hold
from couponpress.ledger.rate import RateInForce
from couponpress.ledger.redrive import RedrivenOutcome
from couponpress.ledger.selection import Selection
from couponpress.ledger.shares import Share
from couponpress.outcome import Outcome, RunStatus
from couponpress.overview.snapshot import Overview
from couponpress.settings import ProducerSettings
from couponpress.spec import TaskSpec
from couponpress.transport.threads import Threads

log = logging.getLogger(__name__)

#: How many outcomes a thread hands over at a time.
_OUTCOMES_AT_ONCE = 500


class AsyncClient:
    """A producer's connection to the fleet, for asyncio. Safe to share between tasks; not across a fork.

    A call that is cancelled before a thread has begun it never happens. A call that has begun is finished in its
    thread, while the await ends at once. Only a cancelled `enqueue_many` waits until what it stored is removed
    again. `close` waits for all calls.

    Args:
        settings: where Redis is and whose partner's keys these are; read from the environment when absent.
        actor: who acts through it; the user of this machine when absent.
        timeout: how many seconds one answer of Redis may take.
        threads: how many calls may be with Redis at once, each over a connection of its own; others wait their turn.

    Raises:
        SettingsError: a setting is missing or wrong.
    """

    def __init__(
        self,
        settings: ProducerSettings | None = None,
        *,
        actor: Actor | None = None,
        timeout: float = 30.0,
        threads: int = 4,
    ) -> None:
        self._client = Client(settings, actor=actor, timeout=timeout)
        self._threads = Threads(threads)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for what has begun, then close every connection. A later call raises RuntimeError."""

        def close() -> None:
            self._threads.close()
            self._client.close()

        await asyncio.to_thread(close)

    async def ping(self) -> None:
        """Check that Redis answers.

        Raises:
            RedisUnavailableError: it does not.
        """
        await self._threads.do(self._client.ping)

    async def enqueue(
        self, spec: TaskSpec | Mapping[str, Any], *, run: str, lane: Lane = "urgent", hook: str | None = None
    ) -> Receipt:
        """Enqueue one spec; it may be on the wire before this returns.

        The same spec may be enqueued again in the same run: then `known` is 1, and nothing is sent twice. So a call
        that was cancelled or timed out may be repeated.

        Raises:
            SpecError: the spec breaks a rule.
            ConflictError: its task_id is known with another body.
            InputError: the run's name is unusable, or the run exists in the other lane.
            RedisUnavailableError: Redis did not answer.
        """
        return await self._threads.do(partial(self._client.enqueue, spec, run=run, lane=lane, hook=hook))

    async def enqueue_each(
        self, specs: Iterable[AnySpec], *, run: str, lane: Lane = "urgent", traces: Sequence[str] | None = None
    ) -> list[EnqueuedSpec]:
        """Enqueue independent specs as `Client.enqueue_each` does. They are read in a thread.

        Raises:
            SpecError, InputError, RedisUnavailableError: as `enqueue`; what came in chunks before stays enqueued.
        """
        return await self._threads.do(partial(self._client.enqueue_each, specs, run=run, lane=lane, traces=traces))

    async def enqueue_many(
        self,
        specs: AsyncIterable[AnySpec] | Iterable[AnySpec],
        *,
        run: str,
        lane: Lane = "bulk",
        all_or_none: bool = True,
        hook: str | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> Receipt:
        """Enqueue specs from an iterable of any length, in constant memory, as `Client.enqueue_many`.

        An async iterable is read in this task, on the event loop. Any other is read in this client's threads, a
        hundred specs at a time and not always in the same one, so it may wait for a file or a database.

        Cancelled, with `all_or_none` it leaves nothing behind, and returns when that is done; if Redis does not answer
        then, the same call again completes what is there. Without `all_or_none` the chunks before it stay enqueued.
        `on_progress` and `on_wait` are called on the event loop.

        Raises:
            SpecError, ConflictError, InputError, RedisUnavailableError: as `enqueue`.
        """
        async with aclosing(self._pieces(specs)) as pieces:
            if all_or_none:
                return await self._upload(pieces, run, lane, hook, on_progress, on_wait)
            receipt = Receipt(run, 0, 0)
            act = partial(self._client.enqueue_many, run=run, lane=lane, all_or_none=False, hook=hook)
            async for piece in pieces:
                stored = await self._threads.do(partial(act, piece))
                receipt = Receipt(run, receipt.new + stored.new, receipt.known + stored.known)
                if on_progress is not None:
                    on_progress(receipt.new + receipt.known)
            return receipt

    async def _upload(
        self,
        pieces: AsyncIterator[list[AnySpec]],
        run: str,
        lane: Lane,
        hook: str | None,
        on_progress: Callable[[int], None] | None,
        on_wait: Callable[[], None] | None,
    ) -> Receipt:
        loop, receipt, upload = asyncio.get_running_loop(), Receipt(run, 0, 0), ExitStack()

        def tell_of_waiting() -> None:
            if on_wait is not None:
                loop.call_soon_threadsafe(on_wait)

        try:
            opened = self._client.upload(run=run, lane=lane, hook=hook, on_wait=tell_of_waiting)
            add = await self._threads.do_to_its_end(partial(upload.enter_context, opened))
            async for piece in pieces:
                receipt = await self._threads.do_to_its_end(partial(add, piece))
                if on_progress is not None:
                    on_progress(receipt.new + receipt.known)
            await self._threads.do_to_its_end(upload.close)
        except asyncio.CancelledError as error:
            try:
                await self._threads.do_to_its_end(partial(upload.__exit__, type(error), error, error.__traceback__))
            except CouponpressError as trouble:  # CancelledError is raised all the same
                log.warning("what a cancelled upload into run %r stored could not be taken out: %s", run, trouble)
            raise
        except Exception as error:
            await self._threads.do_to_its_end(partial(upload.__exit__, type(error), error, error.__traceback__))
            raise
        return receipt

    async def _pieces(self, specs: AsyncIterable[AnySpec] | Iterable[AnySpec]) -> AsyncGenerator[list[AnySpec], None]:
        piece: list[AnySpec] = []
        if isinstance(specs, AsyncIterable):
            async for spec in specs:
                piece.append(spec)
                if is_batch(piece, brand_of):
                    yield piece
                    piece = []
            if piece:
                yield piece
            return
        batch = await self._threads.do(partial(batches, specs, brand_of))
        while piece := await self._threads.do(lambda: next(batch, list[AnySpec]())):
            yield piece

    async def run(self, name: str) -> RunStatus:
        """Return the progress of a run.

        Raises:
            UnknownRunError: there is no run of that name.
            RedisUnavailableError: Redis did not answer.
        """
        return await self._threads.do(partial(self._client.run, name))

    async def runs(self) -> list[RunStatus]:
        """Return the progress of every run, the oldest first."""
        return await self._threads.do(self._client.runs)

    async def overview(self) -> Overview:
        """Return the whole fleet as it is now, as `Client.overview` does; shared by all tasks, at most a second old.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        return await self._threads.do(self._client.overview)

    async def outcomes(
        self, run: str, *, follow: bool = False, look_every_seconds: float = 1.0
    ) -> AsyncGenerator[Outcome, None]:
        """Yield a line per spec of a run, in the order of enqueueing; `outcome` is empty while a spec is open.

        With `follow`, yield each spec once, when it has ended, until the run is finished. No thread is kept meanwhile.

        Raises:
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        if not follow:
            async for outcome in self._told(self._client.outcomes(run)):
                yield outcome
            return
        looks = self._client.looks(run)
        look = await self._threads.do(partial(next, looks))
        while True:
            async for outcome in self._told(look):
                yield outcome
            following = await self._threads.do(partial(next, looks, None))
            if following is None:
                return
            look = following
            await asyncio.sleep(look_every_seconds)

    async def _told(self, outcomes: Iterator[Outcome]) -> AsyncIterator[Outcome]:
        while some := await self._threads.do(lambda: list(islice(outcomes, _OUTCOMES_AT_ONCE))):
            for outcome in some:
                yield outcome

    async def spec(self, task_id: str) -> SpecHistory | None:
        """Return everything that is known of one spec, as `Client.spec`.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        return await self._threads.do(partial(self._client.spec, task_id))

    async def reasons(self, run: str) -> dict[str, int]:
        """Return how many specs of a run ended badly, by `outcome code`, the most frequent first.

        Raises:
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        return await self._threads.do(partial(self._client.reasons, run))

    async def holds(self) -> list[Hold]:
        """Return every hold in force."""
        return await self._threads.do(self._client.holds)

    async def pause(
        self,
        run: str | None = None,
        *,
        brand: str | None = None,
        until: datetime | timedelta | None = None,
        why: str = "",
    ) -> bool:
        """Hold a run, or a brand's specs in every run, or everything if neither is given, as `Client.pause`.

        Raises:
            InputError: a run and a brand were given, the moment has passed, or the reason cannot be shown.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        return await self._threads.do(partial(self._client.pause, run, brand=brand, until=until, why=why))

    async def resume(self, run: str | None = None, *, brand: str | None = None, why: str = "") -> bool:
        """Release the hold of a run, of a brand, or of everything if neither is given; False if there was none.

        Raises:
            InputError: a run and a brand were given.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        return await self._threads.do(partial(self._client.resume, run, brand=brand, why=why))

    async def cancel(
        self, run: str | None = None, *, why: str = "", on_progress: Callable[[int], None] | None = None
    ) -> int:
        """Cancel every spec of a run, or of every run if None, that the platform has not accepted, as `Client.cancel`.

        If the call itself is cancelled, it stops after the current step, the runs stay held, and the same call
        continues. Returns how many specs were cancelled.

        Raises:
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        return await self._threads.do_in_steps(partial(self._client.cancel, run, why=why), on_progress)

    async def redrive(
        self,
        run: str,
        *,
        outcome: RedrivenOutcome | None = None,
        code: str | None = None,
        why: str = "",
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Send ended specs of a run again, with the same task_id and the same bytes. Returns how many.

        As `Client.redrive`. If the call is cancelled, it stops after the current step, and the same call continues.

        Raises:
            InputError: specs of that outcome are not sent again.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        return await self._threads.do_in_steps(
            partial(self._client.redrive, run, outcome=outcome, code=code, why=why), on_progress
        )

    async def choose(
        self, act: BulkAct, selection: Selection, *, on_progress: Callable[[int], None] | None = None
    ) -> Chosen:
        """Return which specs a filter matches at this moment, for an act, as `Client.choose`.

        Raises:
            InputError: the act cannot change specs of a state that the filter names.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        return await self._threads.do_in_steps(partial(self._client.choose, act, selection), on_progress)

    async def act_on(
        self,
        chosen: Chosen,
        *,
        until: datetime | timedelta | None = None,
        why: str = "",
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Pause, resume, cancel, or send again exactly the specs that were chosen, as `Client.act_on`.

        Cancelled, it stops after the step in hand.

        Raises:
            InputError: the reason cannot be shown, the moment has passed, or an act other than a pause has an end.
            RedisUnavailableError: Redis did not answer.
        """
        return await self._threads.do_in_steps(partial(self._client.act_on, chosen, until=until, why=why), on_progress)

    async def delete_dead_letters(
        self, run: str | None = None, *, why: str = "", dry_run: bool = False
    ) -> tuple[int, int]:
        """Delete the dead letters of a run, or all of them, as `Client.delete_dead_letters`.

        Raises:
            InputError: the reason cannot be shown.
            RedisUnavailableError: Redis did not answer.
        """
        return await self._threads.do(partial(self._client.delete_dead_letters, run, why=why, dry_run=dry_run))

    async def rate(self) -> RateInForce:
        """Return the rate at which the fleet submits now, and why."""
        return await self._threads.do(self._client.rate)

    async def set_rate(self, rate: str | None, *, until: datetime | timedelta | None = None, why: str = "") -> None:
        """Set the running fleet's rate by hand, or with None go back to the configured one, as `Client.set_rate`.

        Raises:
            InputError: it does not read like "500/second" or "600/minute", or the moment has passed.
            RedisUnavailableError: Redis did not answer.
        """
        await self._threads.do(partial(self._client.set_rate, rate, until=until, why=why))

    async def shares(self) -> list[Share]:
        """Return the shares of brands that were set, as `Client.shares`."""
        return await self._threads.do(self._client.shares)

    async def set_share(self, share: Share, *, why: str = "") -> None:
        """Set a brand's share, as `Client.set_share`.

        Raises:
            InputError: the weight or the cap is out of bounds.
            RedisUnavailableError: Redis did not answer.
        """
        await self._threads.do(partial(self._client.set_share, share, why=why))

    async def audit(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        who: str | None = None,
        act: str | None = None,
    ) -> AsyncGenerator[AuditEntry, None]:
        """Yield what was done and what was refused, the latest first, as `Client.audit`.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        entries = self._client.audit(since=since, until=until, who=who, act=act)
        while some := await self._threads.do(lambda: list(islice(entries, _OUTCOMES_AT_ONCE))):
            for entry in some:
                yield entry
