"""The client for programs: enqueue specs, follow runs, read outcomes, hold and resume.

An upload is cut into chunks. A chunk is stored first, then its hint is sent. Rates and HTTP are the fleet's part.
"""

from __future__ import annotations

import copy
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice, repeat
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from couponpress.compiled_spec import SpecChecker
from couponpress.errors import (
    ConflictError,
    InputError,
    RedisFullError,
    RedisRestartedError,
    RedisUnavailableError,
)
from couponpress.keys import Keys, Lane
from couponpress.language import gettext, quoted
from couponpress.ledger.attribution import Actor, Attribution, checked_why, this_user
from couponpress.ledger.audit import Act, ActName, AuditEntry, AuditLog
from couponpress.ledger.batches import batches, chunks_of
from couponpress.ledger.cancel import CancellingLedger
from couponpress.ledger.chosen import BulkAct, ChoosingLedger, Chosen, check_ends
from couponpress.ledger.chunks import CHUNK_SIZE, Identified, brand_in_head, identified_in
from couponpress.ledger.dead_letters import DeadLetterChunk, DeadLetterLedger, DeadLetterMessage
from couponpress.ledger.enqueueing import Enqueued, EnqueuedSpec, PackedChunk, UploadLedger
from couponpress.ledger.follow import Follower
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.hooks import set_hook
from couponpress.ledger.lookup import FindingLedger, SpecHistory
from couponpress.ledger.moments import LONGEST
from couponpress.ledger.outage import PlatformDown, read_down
from couponpress.ledger.presence import Present, read_present
from couponpress.ledger.progress import Hold, ReadingLedger
from couponpress.ledger.rate import PacingLedger, RateInForce
from couponpress.ledger.redrive import RedriveLedger, RedrivenOutcome
from couponpress.ledger.request_durations import Histogram, histograms_of
from couponpress.ledger.selection import Selection
from couponpress.ledger.send_log import Sent, read_record
from couponpress.ledger.shares import Share, ShareLedger
from couponpress.ledger.trace_context import traceparent
from couponpress.outcome import Outcome, RunStatus
from couponpress.overview.sharing import SharedOverview
from couponpress.serialized_spec import SerializedSpec
from couponpress.settings import ProducerSettings, checked_hook_url
from couponpress.spec import TaskSpec
from couponpress.transport.consumer_thread import ConsumerThread
from couponpress.transport.hints import Hints
from couponpress.transport.redis_refusals import redis_errors_told
from couponpress.transport.web_address import shown_url

if TYPE_CHECKING:
    from couponpress.overview.reading import OverviewReader
    from couponpress.overview.snapshot import Overview

#: A run's name is shown to people. It may be in any alphabet.
_RUN_NAME_MAX = 100

#: A spec, one as a catalog gives it, or a request body as a mapping.
AnySpec: TypeAlias = TaskSpec | SerializedSpec | Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an enqueue call confirmed: these specs are stored and will each end in exactly one outcome.

    Attributes:
        run: the run's name.
        new: specs stored by this call.
        known: specs that were stored before with the same body; they are not stored again.
    """

    run: str
    new: int
    known: int


class _Upload:
    """An upload into a run, which holds its lock: it packs chunks, and stores what is packed.

    Attributes:
        trace: the span that was current when the upload began.
        receipt: what is stored so far.
    """

    def __init__(self, uploads: UploadLedger, number: str, token: str, receipt: Receipt) -> None:
        self._uploads = uploads
        self._number = number
        self._token = token
        self.trace = traceparent()
        self.receipt = receipt

    def packed(self, chunks: list[list[Identified]]) -> list[PackedChunk]:
        """Pack chunks; raises as `UploadLedger.packed`."""
        return self._uploads.packed(self._number, self._token, chunks)

    def store(self, chunks: list[PackedChunk]) -> None:
        """Store packed chunks; raises as `UploadLedger.enqueue_batch`."""
        new, known = self._uploads.enqueue_batch(self._number, self._token, chunks)
        self.receipt = replace(self.receipt, new=self.receipt.new + new, known=self.receipt.known + known)


class Client:
    """A producer's connection to the fleet.

    Opens its connections when they are first needed. Safe to share between threads; not across a fork.

    Args:
        settings: where Redis is and whose partner's keys these are; read from the environment when absent.
        actor: who acts through it, for holds and the audit log; the user of this machine when absent.
        timeout: how many seconds one answer of Redis may take.

    Raises:
        SettingsError: a setting is missing or wrong.
    """

    def __init__(
        self, settings: ProducerSettings | None = None, *, actor: Actor | None = None, timeout: float = 30.0
    ) -> None:
        self._settings = settings or ProducerSettings.load()
        self._keys = Keys(self._settings.mchid)
        address = self._settings.redis_address
        # A broken connection is opened again: every call of a producer may be repeated.
        retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), 3, supported_errors=(redis.ConnectionError,))
        self._redis = address.client(socket_timeout=timeout, socket_connect_timeout=5, retry=retry)
        self._actor = actor or this_user("client")
        self._audit = AuditLog(self._redis, self._keys, self._settings.audit_ttl)
        self._uploads = UploadLedger(self._redis, self._keys)
        self._ledger = ReadingLedger(self._redis, self._keys)
        self._finding = FindingLedger(self._redis, self._keys)
        self._holds = HoldingLedger(self._redis, self._keys, self._audit)
        self._cancelling = CancellingLedger(self._redis, self._keys)
        self._pacing = PacingLedger(self._redis, self._keys, audit=self._audit)
        self._shares = ShareLedger(self._redis, self._keys, self._audit)
        self._choosing = ChoosingLedger(self._redis, self._keys)
        self._redrives = RedriveLedger(self._redis, self._keys)
        self._dead_letters = DeadLetterLedger(self._redis, self._keys)
        self._overview = SharedOverview(_overviews(self._redis, self._keys))
        self._hints = Hints(self._settings.broker_address, self._keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()
        self._hints.close()

    def acting_as(self, actor: Actor) -> Self:
        """Return this client for another actor; both share their connections, so close the first one alone."""
        other = copy.copy(self)
        other._actor = actor  # noqa: SLF001 - it is of this class
        return other

    def ping(self) -> None:
        """Check that Redis answers.

        Raises:
            RedisUnavailableError: it does not.
        """
        with self._asking():
            self._redis.ping()

    def enqueue(
        self, spec: TaskSpec | Mapping[str, Any], *, run: str, lane: Lane = "urgent", hook: str | None = None
    ) -> Receipt:
        """Enqueue one spec; it may be on the wire before this returns.

        The same spec may be enqueued again in the same run: then `known` is 1, and nothing is sent twice. For `hook`
        see `enqueue_many`.

        Raises:
            SpecError: the spec breaks a rule.
            ConflictError: its task_id is known with another body.
            InputError: the run's name is unusable, or the run exists in the other lane.
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            (chunk,) = _chunks([spec], _checked_name(run), traceparent())
            stored = self._enqueue_open(run, lane, chunk, self._hook(hook))
            return Receipt(run, stored.new, stored.known)

    def enqueue_many(
        self,
        specs: Iterable[AnySpec],
        *,
        run: str,
        lane: Lane = "bulk",
        all_or_none: bool = True,
        hook: str | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> Receipt:
        """Enqueue specs from an iterable of any length, in constant memory; storing runs beside reading.

        Args:
            specs: the specs, also as a catalog gives them, or request bodies as mappings.
            run: the run's name.
            lane: which queue the run waits in.
            all_or_none: when True, nothing is submitted before the last spec is stored, and an error, also one
                that the iterable raises, leaves nothing behind. When False, each chunk may be submitted at once,
                and an error leaves the chunks before it enqueued.
            hook: a URL that is told when the run is finished, see docs/hooks.md; None: COUPONPRESS_HOOK_URL, if set.
            on_progress: called with the number of specs seen so far, after each chunk.
            on_wait: called once if another producer's upload into the same run must be waited for.

        If there is no spec, no run is kept.

        Raises:
            SpecError, ConflictError, InputError, RedisUnavailableError: as `enqueue`.
        """
        with self._asking():
            if all_or_none:
                seen = 0
                with self._upload(run, lane, hook, on_wait) as upload, ConsumerThread(upload.store) as stored:
                    for chunks in _batches(specs, run, upload.trace):
                        stored.put(upload.packed(chunks))
                        seen += sum(map(len, chunks))
                        if on_progress is not None:
                            on_progress(seen)
                return upload.receipt
            new = known = 0
            for chunk in _chunks(specs, _checked_name(run), traceparent()):
                enqueued = self._enqueue_open(run, lane, chunk, self._hook(hook))
                new, known = new + enqueued.new, known + enqueued.known
                if on_progress is not None:
                    on_progress(new + known)
            return Receipt(run, new, known)

    def _enqueue_open(self, run: str, lane: Lane, chunk: list[Identified], hook: str | None) -> Enqueued:
        """Store a chunk and announce it."""
        _, stored = self._in_run(run, lane, hook, partial(self._uploads.enqueue_open, specs=chunk))
        if stored.chunk_id is not None:
            self._hints.announce([stored.chunk_id])
        return stored

    def enqueue_each(
        self, specs: Iterable[AnySpec], *, run: str, lane: Lane = "urgent", traces: Sequence[str] | None = None
    ) -> list[EnqueuedSpec]:
        """Enqueue independent specs: one that is known with another body does not stop the others.

        Returns each with its ids and whether it was new. New ones are stored in chunks, which is cheap for many.

        Args:
            specs: as of `enqueue_many`.
            run: the run's name.
            lane: which queue the run waits in.
            traces: the `traceparent` of each spec, empty for none; None: the span that is current here, for all.

        Raises:
            SpecError, InputError, RedisUnavailableError: as `enqueue`; what came in chunks before stays enqueued.
        """
        with self._asking():
            enqueued: list[EnqueuedSpec] = []
            each, identified = iter(traces or repeat(traceparent())), identified_in(_checked_name(run))
            rest = _serialized(specs)
            while piece := list(islice(rest, CHUNK_SIZE)):
                told: list[tuple[bytes, EnqueuedSpec]] = []
                for chunk in chunks_of(piece, identified, list(islice(each, len(piece)))):
                    store = partial(self._uploads.enqueue_each, specs=chunk)
                    number, (chunk_ids, of_chunk) = self._in_run(run, lane, self._hook(None), store)
                    if chunk_ids:
                        self._hints.announce(chunk_ids)
                    else:
                        self._uploads.drop_if_empty(number)
                    told += zip((spec.at for spec in chunk), of_chunk, strict=True)
                enqueued += [one for _, one in sorted(told, key=itemgetter(0))]
            return enqueued

    @contextmanager
    def upload(
        self, *, run: str, lane: Lane = "bulk", hook: str | None = None, on_wait: Callable[[], None] | None = None
    ) -> Iterator[Callable[[Iterable[AnySpec]], Receipt]]:
        """Open an upload for specs that come piece by piece: `with client.upload(run="may") as add: add(specs)`.

        All or none: nothing is submitted before the block ends, and an error in it leaves nothing behind. `add` stores
        specs, up to a hundred of a brand in a chunk, and returns what is stored so far. Arguments as of `enqueue_many`.

        Raises:
            SpecError, ConflictError, InputError, RedisUnavailableError: as `enqueue`.
        """
        with self._upload(run, lane, hook, on_wait) as upload:

            def add(specs: Iterable[AnySpec]) -> Receipt:
                with self._asking():
                    for chunks in _batches(specs, run, upload.trace):
                        upload.store(upload.packed(chunks))
                return upload.receipt

            yield add

    @contextmanager
    def _upload(self, run: str, lane: Lane, hook: str | None, on_wait: Callable[[], None] | None) -> Iterator[_Upload]:
        with self._asking():
            number, token = self._open_upload(_checked_name(run), lane, self._hook(hook), on_wait)
            server = self._uploads.server()
            try:
                yield _Upload(self._uploads, number, token, Receipt(run, 0, 0))
                self._check_server(server)
            except BaseException as error:
                if type(error) is InputError:  # no upload took this one over if the server forgot whose it is
                    self._check_server(server)
                # Without an answer discarding would fail too; after a restart the same command completes what is there.
                away = isinstance(error, redis.ConnectionError | redis.TimeoutError | RedisUnavailableError)
                if not away or isinstance(error, RedisFullError):
                    self._uploads.discard(number, token)
                raise
            for released in self._uploads.seal(number, token):
                self._hints.announce(released)
            self._uploads.drop_if_empty(number)

    def _open_upload(
        self, run: str, lane: Lane, hook: str | None, on_wait: Callable[[], None] | None
    ) -> tuple[str, str]:
        """Return the number of the run, and the token of this upload into it."""

        def lock(number: str) -> str | None:
            token = self._uploads.lock_upload(number, on_wait)
            if token is not None and hook is not None:  # while another producer uploads, its hook is kept
                self._set_hook(number, run, hook)
            return token

        return self._in_run(run, lane, None, lock)

    def _in_run(self, run: str, lane: Lane, hook: str | None, store: Callable[[str], T | None]) -> tuple[str, T]:
        """Store something in a run. The run is created if there is none, also if it vanished meanwhile.

        Returns the run's number and what `store` returned. After a refusal no empty run is left behind.
        """
        while True:
            number = self._uploads.open_run(run, lane)
            try:
                if hook is not None:
                    self._set_hook(number, run, hook)
                stored = store(number)
            except (ConflictError, redis.OutOfMemoryError):
                self._uploads.drop_if_empty(number)
                raise
            if stored is not None:
                return number, stored

    def _set_hook(self, number: str, run: str, url: str) -> None:
        act = Act("hook", Attribution(self._actor), run, detail=shown_url(url))
        set_hook(self._redis, self._keys, number, url, act, self._audit)

    def _hook(self, url: str | None) -> str | None:
        if url is None:
            return self._settings.hook_url
        try:
            return checked_hook_url(url)
        except ValueError as error:
            raise InputError(
                gettext("a hook %(error)s, got %(url)s.") % {"error": error, "url": quoted(shown_url(url))}
            ) from None

    def run(self, name: str) -> RunStatus:
        """Return the progress of a run.

        Raises:
            UnknownRunError: there is no run of that name.
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            return self._ledger.status(self._ledger.number_of(name))

    def runs(self) -> list[RunStatus]:
        """Return the progress of every run, the oldest first."""
        with self._asking():
            return [self._ledger.status(number) for number in self._ledger.run_numbers()]

    def knows_brand(self, brand: str) -> bool:
        """Return whether a spec of any run names a brand; runs of the past are forgotten in time.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            return self._ledger.knows_brand(brand)

    @property
    def shared_overview(self) -> SharedOverview:
        """The overview that all callers of this client share, for pages that are read again and again."""
        return self._overview

    def overview(self) -> Overview:
        """Return the whole fleet as it is now: limits, rate, lanes, workers, the newest runs, and what it is bound by.

        The cost does not grow with the size of a run. All callers of this client share one overview, at most a second
        old.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            return self._overview.get()

    def acts_noted(self) -> dict[ActName, int]:
        """Return how often each act of people, and denials, came into the audit log.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            return self._audit.noted()

    def request_durations(self) -> list[Histogram]:
        """Return how long calls of the platform took, of all processes together.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            stored = cast(dict[bytes, bytes], self._redis.hgetall(self._keys.request_durations))
            return histograms_of(stored)

    def outcomes(self, run: str, *, follow: bool = False, look_every_seconds: float = 1.0) -> Iterator[Outcome]:
        """Yield a line per spec of a run, in the order of enqueueing; `outcome` is empty while a spec is open.

        With `follow`, yield each spec once, when it has ended, until the run is finished.

        Raises:
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            if not follow:
                yield from self._ledger.outcomes(self._ledger.number_of(run))
                return
        looks = self.looks(run)
        yield from next(looks)
        for look in looks:
            time.sleep(look_every_seconds)
            yield from look

    def looks(self, run: str) -> Iterator[Iterator[Outcome]]:
        """Yield iterators until a run is finished; each yields the specs that ended since the one before.

        For callers that wait in their own way in between. Each iterator must be read to its end.

        Raises:
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            follower = Follower(self._redis, self._keys, self._ledger.number_of(run))
        while True:
            yield self._look(follower)
            if follower.finished:
                return

    def _look(self, follower: Follower) -> Iterator[Outcome]:
        with self._asking():
            yield from follower.look()

    def spec(self, task_id: str) -> SpecHistory | None:
        """Return everything that is known of one spec: where it is, what happened to it, what is sent.

        None when no spec of that task_id is known; specs are forgotten with their run.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            return self._finding.spec(task_id)

    def reasons(self, run: str) -> dict[str, int]:
        """Return how many specs of a run ended badly, by `outcome code`, the most frequent first."""
        with self._asking():
            return self._ledger.reasons(self._ledger.number_of(run))

    def holds(self) -> list[Hold]:
        """Return every hold in force."""
        with self._asking():
            return self._ledger.holds()

    def outage(self) -> PlatformDown | None:
        """Return since when and why the fleet regards the platform as down, or None if it is up."""
        with self._asking():
            return read_down(self._redis, self._keys)

    @property
    def redis_url_shown(self) -> str:
        """The URL of this client's Redis, without its password."""
        return self._settings.redis_url_shown

    def present(self) -> list[Present]:
        """Return the running processes of the fleet: workers, schedulers, callback receivers, gateways."""
        with self._asking():
            return read_present(self._redis, self._keys)

    def pause(
        self,
        run: str | None = None,
        *,
        brand: str | None = None,
        until: datetime | timedelta | None = None,
        why: str = "",
    ) -> bool:
        """Hold a run, or a brand's specs in every run, or everything if neither is given.

        Every worker is told at once; requests in flight are finished. Returns False if it is held for as long already.

        Args:
            run: the run's name.
            brand: the brand's id, instead of a run.
            until: when the hold ends by itself, or how long it lasts; None: until it is released. A moment without a
                time zone is in this machine's.
            why: the reason, for whoever sees the hold, and for the audit log.

        Raises:
            InputError: a run and a brand were given, the moment has passed, or the reason cannot be shown.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            number = self._one_scope(run, brand)
            cure = " ".join(["couponpress resume", *([] if run is None else [shlex.quote(run)])])
            cure += "" if brand is None else f" --brand {brand}"
            return self._holds.hold(
                number,
                "paused by hand",
                f"`{cure}` lets it go on",
                brand_id=brand,
                run=run or "",
                until=self._end(until),
                by=self._by(why),
            )

    def _by(self, why: str) -> Attribution:
        return Attribution(self._actor, checked_why(why))

    def _end(self, until: datetime | timedelta | None) -> float | None:
        """Return a moment in seconds since 1970; a length of time counts from now on Redis's clock."""
        if until is None:
            return None
        seconds, micros = self._redis.time()
        now = seconds + micros / 1e6
        end = now + until.total_seconds() if isinstance(until, timedelta) else until.timestamp()
        if not now < end <= now + LONGEST.total_seconds():
            raise InputError(
                gettext("what ends by itself does so within a year from now, not %(until)s.") % {"until": until}
            )
        return end

    def resume(self, run: str | None = None, *, brand: str | None = None, why: str = "") -> bool:
        """Release the hold of a run, of a brand, or the hold of everything if neither is given.

        Other holds stay in force. `why` is for the audit log. Returns False if there was no such hold.

        Raises:
            InputError: a run and a brand were given.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            return self._release(self._one_scope(run, brand), Act("resume", self._by(why), run or "", brand or ""))

    def cancel(self, run: str | None = None, *, why: str = "", on_progress: Callable[[int], None] | None = None) -> int:
        """Cancel every spec of a run, or of every run if None, that the platform has not accepted.

        The runs are held at once, and nothing of them is sent after this returns. It waits for the answers of requests
        in flight. Accepted specs are completed as usual. Chunks of an unfinished upload are removed. If this call is
        interrupted, the runs stay held, and the same call continues. `on_progress` is called with the number of specs
        cancelled so far. `why` is for the audit log.

        Returns how many specs were cancelled.

        Raises:
            InputError: the reason cannot be shown.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            by = self._by(why)
            numbers = self._ledger.run_numbers() if run is None else [self._ledger.number_of(run)]
            names = {number: one.run for number in numbers if not (one := self._ledger.status(number)).finished}
            for number, name in names.items():
                cure = f"`couponpress cancel {shlex.quote(name)}` again finishes it"
                begun = Act("cancel", by, name, detail="begun")
                self._holds.hold(number, "being cancelled", cure, by=by, note=begun)
            total = 0
            for number, name in names.items():
                before = total
                if (token := self._uploads.take_over_upload(number)) is not None:
                    self._uploads.discard(number, token)
                for cancelled in self._cancelling.cancel(number):
                    total += cancelled
                    if on_progress is not None:
                        on_progress(total)
                self._release(number, Act("cancel", by, name, detail=f"{total - before} specs"))
            return total

    def _one_scope(self, run: str | None, brand: str | None) -> str | None:
        """Return the number of the run if one is given, otherwise None. A run and a brand together are refused."""
        if run is not None and brand is not None:
            raise InputError(gettext("give a run or a brand, not both: a brand is held in every run."))
        if brand is not None and not re.fullmatch("[0-9A-Za-z_-]+", brand):
            raise InputError(
                gettext("a brand's id is digits, letters, _ or -, got %(brand)s.") % {"brand": quoted(brand)}
            )
        return None if run is None else self._ledger.number_of(run)

    def _release(self, number: str | None, act: Act) -> bool:
        freed = self._holds.release(number, brand_id=act.brand or None, note=act)
        self._hints.announce(freed or [], again=True)
        return freed is not None

    def redrive(
        self,
        run: str,
        *,
        outcome: RedrivenOutcome | None = None,
        code: str | None = None,
        why: str = "",
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Send ended specs of a run again, with the same task_id and the same bytes. Returns how many.

        Their tries start from zero, their old reasons are forgotten, and the run is unfinished again. Specs that
        succeeded are never sent again. The call may be interrupted and repeated. docs/operations.md names the risks.

        Args:
            run: the run's name.
            outcome: only specs with this outcome; None for rejected, expired and cancelled ones. Failed ones are sent
                only if named: most likely they fail again.
            code: only specs whose reason has this code; None for all.
            why: the reason, for the audit log.
            on_progress: called with the number of specs that go again so far, step by step.

        Raises:
            InputError: specs of that outcome are not sent again.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            chosen = " ".join(word for word in (outcome, code) if word)
            act, again = Act("redrive", self._by(why), run, detail=chosen), 0
            steps = self._redrives.redrive(self._ledger.number_of(run), outcome, code)
            self._audit.add(act, "begun")
            for specs, chunk_ids in steps:
                self._hints.announce(chunk_ids)
                again += specs
                if on_progress is not None:
                    on_progress(again)
            self._audit.add(act, f"{again} specs")
            return again

    def choose(self, act: BulkAct, selection: Selection, *, on_progress: Callable[[int], None] | None = None) -> Chosen:
        """Return which specs a filter matches at this moment, for an act; changes nothing.

        Args:
            act: `pause`, `resume`, `cancel` or `redrive`.
            selection: the filter.
            on_progress: called with the number of matching specs so far.

        Raises:
            InputError: the act cannot change specs of a state that the filter names.
            UnknownRunError, RedisUnavailableError: as `run`.
        """
        with self._asking():
            steps = self._choosing.choose(act, selection)
            chosen = next(steps)
            for _ in steps:
                if on_progress is not None:
                    on_progress(chosen.specs)
            return chosen

    def act_on(
        self,
        chosen: Chosen,
        *,
        until: datetime | timedelta | None = None,
        why: str = "",
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Pause, resume, cancel, or send again exactly the specs that were chosen; returns how many that were.

        A spec that has moved on since is left alone. Goes in bounded steps; broken off, what was done stays done, and
        choosing and acting again goes on.

        Args:
            chosen: what `choose` returned.
            until: of a pause, when it ends by itself, or how long it lasts; None: when the specs are resumed.
            why: the reason, for the audit log.
            on_progress: called with the number of specs so far, step by step; what it raises stops the act.

        Raises:
            InputError: the reason cannot be shown, the moment has passed, or an act other than a pause has an end.
            RedisUnavailableError: Redis did not answer.
        """
        selection = chosen.selection
        with self._asking():
            if until is not None:
                check_ends(chosen.act)
            end = self._end(until)
            ends = (
                "" if end is None else f", until {datetime.fromtimestamp(end).astimezone().isoformat(' ', 'seconds')}"
            )
            about = f"{selection}{ends}"
            note = Act(
                chosen.act,
                self._by(why),
                selection.run or "",
                selection.brand or "",
                f"all that match {about}",
            )
            self._audit.add(note, f"begun, {chosen.specs} specs match")
            done, ended = 0, False
            try:
                for specs, chunk_ids in self._choosing.act(chosen, end):
                    self._hints.announce(chunk_ids)
                    done += specs
                    if on_progress is not None:
                        on_progress(done)
                ended = True
            finally:
                self._audit.add(
                    note,
                    f"{done} specs" if ended else f"stopped after {done} specs",
                )
            return done

    def dead_letter_chunks(self) -> list[DeadLetterChunk]:
        """Return the dead-letter chunks that were not redriven, the latest first."""
        with self._asking():
            return self._dead_letters.chunks()

    def dead_letter_messages(self) -> tuple[int, list[DeadLetterMessage]]:
        """Return how many messages became dead letters lately because they were no hints, and the latest of them."""
        with self._asking():
            return self._dead_letters.messages()

    def delete_dead_letters(self, run: str | None = None, *, why: str = "", dry_run: bool = False) -> tuple[int, int]:
        """Delete the dead letters of a run, or all of them and the messages too; returns how many chunks and messages.

        It says that a person has seen them. Their specs have ended as expired; `redrive` sends those again.

        Args:
            run: the run's name; None: every run, and the messages.
            why: the reason, for the audit log.
            dry_run: only count them.

        Raises:
            InputError: the reason cannot be shown.
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            chunks = [one.chunk_id for one in self._dead_letters.chunks() if run in {None, one.run}]
            if dry_run:
                return len(chunks), self._dead_letters.messages_kept() if run is None else 0
            note = Act("delete-dead-letters", self._by(why), run or "")
            return self._dead_letters.delete(chunks, self._audit, note, messages=run is None)

    def rate(self) -> RateInForce:
        """Return the rate at which the fleet submits now, and why."""
        with self._asking():
            return self._pacing.rate()

    def set_rate(self, rate: str | None, *, until: datetime | timedelta | None = None, why: str = "") -> None:
        """Set the running fleet's rate by hand, lower or higher than configured; None goes back to the configured one.

        It is in force from the next slot on, for every worker, across restarts. What was learned from 429 is forgotten.

        Args:
            rate: the rate.
            until: when the configured rate is in force again, or after how long; None: when it is taken back.
            why: the reason, for the audit log.

        Raises:
            InputError: it does not read like "500/second" or "600/minute", or the moment has passed.
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            self._pacing.set_rate(rate, until=None if rate is None else self._end(until), by=self._by(why))

    def shares(self) -> list[Share]:
        """Return the shares of brands that were set; every other brand has weight 1 and no cap."""
        with self._asking():
            return self._shares.shares()

    def set_share(self, share: Share, *, why: str = "") -> None:
        """Set how much of a lane a brand has while others wait, and how fast it may go; `Share(brand)` takes it back.

        It is in force from the next chunk on, for every worker, across restarts.

        Raises:
            InputError: the weight or the cap is out of bounds.
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            self._shares.set_share(share, self._by(why))

    def note(self, act: ActName, *, run: str = "", detail: str = "", why: str = "", result: str = "done") -> None:
        """Add an act to the audit log that was done by other means than this client's.

        Raises:
            InputError: the reason cannot be shown.
            RedisUnavailableError: Redis did not answer.
        """
        with self._asking():
            self._audit.add(Act(act, self._by(why), run, detail=detail), result)

    def audit(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        who: str | None = None,
        act: str | None = None,
    ) -> Iterator[AuditEntry]:
        """Yield what was done and what was refused, the latest first.

        Args:
            since: only from this moment on.
            until: only before this moment.
            who: only by this token, user or process.
            act: only this act, for example `pause` or `denied`.

        Raises:
            RedisUnavailableError: Redis did not answer.
        """
        moments = [None if moment is None else moment.timestamp() for moment in (since, until)]
        with self._asking():
            yield from self._audit.entries(since=moments[0], until=moments[1], who=who, act=act)

    def flight_record(self) -> list[Sent]:
        """Return when each submit of the last ten minutes was sent, in order, on Redis's clock."""
        with self._asking():
            return read_record(self._redis, self._keys)

    def _check_server(self, server: str) -> None:
        if self._uploads.server() != server:
            raise RedisRestartedError(self._settings.redis_url_shown)

    def _asking(self) -> AbstractContextManager[None]:
        return redis_errors_told(self._settings.redis_url_shown)


def _overviews(client: redis.Redis, keys: Keys) -> Callable[[], Overview]:
    """Return what reads one overview after the other; few programs do, so its modules are loaded with the first."""
    reader: OverviewReader | None = None

    def read() -> Overview:
        nonlocal reader
        if reader is None:
            from couponpress.overview.reading import OverviewReader  # noqa: PLC0415 - see above

            reader = OverviewReader(client, keys)
        return reader.read()

    return read


def _serialized(specs: Iterable[AnySpec]) -> Iterator[SerializedSpec]:
    """Check and serialize specs; a plain mapping is checked quickly.

    Raises:
        SpecError: one breaks a rule.
    """
    check = SpecChecker(strict=False).of_fields
    for spec in specs:
        if isinstance(spec, SerializedSpec):
            yield spec
            continue
        checked = None if isinstance(spec, TaskSpec) else check(spec, "")
        if checked is not None and checked[0].row_id != "":  # with neither id, the body's digest is the row's id
            yield checked[0]
        else:
            yield SerializedSpec.of(spec if isinstance(spec, TaskSpec) else TaskSpec.parse(spec)[0])


def _checked_name(run: str) -> str:
    if not run or len(run) > _RUN_NAME_MAX or not run.isprintable() or run != run.strip():
        raise InputError(
            gettext("a run's name is 1 to %(most)s printable characters, got %(run)s.")
            % {"most": _RUN_NAME_MAX, "run": quoted(run)}
        )
    return run


def brand_of(spec: AnySpec) -> str:
    """Return the brand of a spec, however it is given; empty if it names none."""
    if isinstance(spec, SerializedSpec):
        return brand_in_head(spec.head)
    return str(spec.brand_id if isinstance(spec, TaskSpec) else spec.get("brand_id", ""))


def _chunks(specs: Iterable[AnySpec], run: str, trace: str) -> Iterator[list[Identified]]:
    return chain.from_iterable(_batches(specs, run, trace))


def _batches(specs: Iterable[AnySpec], run: str, trace: str) -> Iterator[list[list[Identified]]]:
    """Yield the chunks of each batch."""
    identified = identified_in(run)
    for batch in batches(_serialized(specs), brand_of):
        yield chunks_of(batch, identified, repeat(trace))
