"""One run: everything is started, the plan is carried out, the faults stop, everything ends, the evidence is gathered.

The audit judges the evidence.
"""

import heapq
import io
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, groupby
from pathlib import Path

import redis

from couponpress.catalog import read
from couponpress.errors import CouponpressError
from couponpress.keys import Keys
from couponpress.ledger.chunks import identified_in
from couponpress.ledger.progress import ReadingLedger
from couponpress.outcome import RunStatus
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.demo.fleet import LATENESS_MS, sample_catalog
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import Services
from couponpress_worker.sandbox.calls import body_digest
from couponpress_worker.sandbox.process import RunningSandbox, running
from tests.chaos.audit import BACK_SECONDS, Call, Evidence, Kill, Result, Span, Spec, Task
from tests.chaos.fleet import FSYNC_SECONDS, Fleet, Redis, Service, in_hand
from tests.chaos.plan import ALWAYS, LIMIT, NEVER, Act, Plan
from tests.chaos.producers import Producer

#: Callbacks that are lost are asked for after so long; in life it is 13 minutes.
CALLBACK_SPAN_SECONDS = 20
CALLBACK_INTERVAL_SECONDS = 5
QUERIES_PER_SECOND = 100
LATENCY_MS = 20
START_SECONDS = 60.0
#: How long the fleet may need after an outage until it is back at its rate.
_AFTER_OUTAGE_SECONDS = 15.0
_LOOK_EVERY_SECONDS = 0.5
#: How long the loss of a second waits for a piece to be confirmed in it.
_WAIT_SECONDS = 10.0
_ENDED = ("succeeded", "failed", "rejected", "expired", "cancelled")


@dataclass
class Outcome:
    """What a run brought about.

    Attributes:
        evidence: for the audit.
        unfinished: what did not end in time; each a sentence.
        notes: what a reader of the table should know besides.
        lag_ms: how late the sandbox's loop ran at worst.
        faults: how often each fault was brought about.
        callbacks: how callbacks fared.
        acts: how often each act was carried out.
        healed: confirmed specs that Redis forgot and a repeated submit enqueued again.
        seconds: how long everything took, from the start of the plan.
    """

    evidence: Evidence
    unfinished: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lag_ms: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    callbacks: dict[str, int] = field(default_factory=dict)
    acts: Counter[str] = field(default_factory=Counter)
    healed: int = 0
    seconds: float = 0.0


def carry_out(
    plan: Plan,
    directory: Path,
    *,
    patience_seconds: float,
    say: Callable[[str], None],
    callbacks_scaled: float = 1.0,
) -> Outcome:
    """Carry out a plan and return what came of it. Logs, catalogs and Redis's file stay in the directory.

    `callbacks_scaled` is the share of the usual spans after which callbacks come again, come late, or are asked for.
    """
    directory = directory.resolve()
    killed = {piece.run for piece in plan.pieces if piece.killed_after_rows}
    catalogs = {
        run: _catalog(directory, run, rows, plan.seed, one_brand=run in killed)
        for run, rows in plan.rows_of_run().items()
    }
    callback_port = redis_server.free_port()
    behaviour = {
        "limit": LIMIT,
        "query_limit": QUERIES_PER_SECOND,
        "latency_ms": LATENCY_MS,
        "notify_url": f"http://127.0.0.1:{callback_port}{CALLBACK_PATH}",
        "callback_interval_seconds": CALLBACK_INTERVAL_SECONDS * callbacks_scaled,
        "callback_repeats": 5,
    }
    # Each worker has a port of the platform for itself: who sent a call is not guessed.
    senders = {redis_server.free_port(): f"worker-{n + 1}" for n in range(plan.workers)}
    how = {"launch": Services.launch, "strict": True, "seed": plan.seed}
    with running(directory / "sandbox", more_ports=list(senders), **how, **behaviour) as sandbox:
        server = Redis(directory / "redis")
        env = sandbox.environment | {
            "COUPONPRESS_REDIS_URL": server.url,
            "COUPONPRESS_LATENESS_MS": str(LATENESS_MS),
            "COUPONPRESS_RATE": f"{LIMIT}/second",
            "COUPONPRESS_QUERY_RATE": f"{QUERIES_PER_SECOND}/second",
            "COUPONPRESS_CALLBACK_SPAN": f"{CALLBACK_SPAN_SECONDS * callbacks_scaled:g}",
        }
        services = [
            Service(name, ("worker",), b" ready.", {"COUPONPRESS_BASE_URL": f"http://127.0.0.1:{port}"})
            for port, name in senders.items()
        ]
        services.append(Service("scheduler", ("scheduler",), b"recovering and querying"))
        services.append(Service("callback", ("callback", "--port", str(callback_port)), b"receiving callbacks on"))
        fleet = Fleet(directory, env, services)
        try:
            always = ALWAYS | {"late_seconds": ALWAYS["late_seconds"] * callbacks_scaled}
            one = _Run(plan, directory, sandbox, server, fleet, env, catalogs, senders, say, always)
            return one.carry_out(patience_seconds)
        finally:
            server.undo()
            fleet.stop()
            server.stop()


class _Run:
    """The state of one run while it is under way."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        sandbox: RunningSandbox,
        server: Redis,
        fleet: Fleet,
        env: dict[str, str],
        catalogs: dict[str, list[str]],
        senders: dict[int, str],
        say: Callable[[str], None],
        always: dict[str, float],
    ) -> None:
        self._plan = plan
        self._directory = directory
        self._sandbox = sandbox
        self._redis = server
        self._fleet = fleet
        self._env = env
        self._catalogs = catalogs
        self._senders = senders
        self._say = say
        self._always = always
        self._keys = Keys(env["COUPONPRESS_MCHID"])
        self._ledger = ReadingLedger(server.client, self._keys)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._acts: Counter[str] = Counter()
        self._kills: list[Kill] = []
        #: Of workers that were killed while Redis was away: which kill, and the process id.
        self._unread_kills: dict[int, int] = {}
        #: For how many losses of Redis the producers were told to repeat what they had submitted.
        self._repeated = 0
        self._platform_off: list[Span] = []
        self._workers_off: list[Span] = []
        self._waiting: list[Span] = []
        self._last_look: tuple[float, int] | None = None
        self._no_worker_since: float | None = None
        self._seen_finished: set[str] = set()
        self._earlier: list[Result] = []
        self._over = threading.Event()

    def carry_out(self, patience_seconds: float) -> Outcome:
        self._live_until(self._fleet.all_ready, START_SECONDS, "all services to be ready")
        self._sandbox.control(faults=self._always)
        began = time.monotonic()
        give_up_at = began + self._plan.duration_seconds + patience_seconds
        producers = list(self._producers(began, give_up_at))
        for producer in producers:
            producer.start()
        for act in self._plan.acts:
            at = began + act.at
            self._at(at, lambda act=act, at=at: self._carry_out_act(act, producers, at + _WAIT_SECONDS))
        unfinished: list[str] = []
        try:
            self._live_until(
                lambda: time.monotonic() > began + self._plan.duration_seconds and not self._due,
                self._plan.duration_seconds + 120,
                "the end of the plan",
            )
            self._say(f"{time.monotonic() - began:6.1f} s  nothing goes wrong any more")
            self._sandbox.control(limit=LIMIT, faults=NEVER)
            left = max(give_up_at - time.monotonic(), 1.0)
            self._live_until(lambda: not any(one.busy for one in producers), left, "every piece to be confirmed")
            left = max(give_up_at - time.monotonic(), 1.0)
            self._live_until(self._all_finished, left, "the end of every run")
            self._live_until(lambda: not self._sandbox.statistics()["callbacks"]["waiting"], 60, "the last callback")
            # A double of a callback, or a query under way, must not change anything that has ended.
            self._live_until(lambda: False, 2, "", fails=False)
        except TimeoutError as error:
            unfinished.append(str(error))
        self._over.set()
        for producer in producers:
            producer.join(30)
        return self._batcher(producers, unfinished, time.monotonic() - began)

    def _producers(self, began: float, give_up_at: float) -> Iterator[Producer]:
        for run, pieces in groupby(sorted(self._plan.pieces, key=lambda one: (one.run, one.number)), lambda p: p.run):
            yield Producer(
                self._catalogs[run],
                list(pieces),
                env=self._env,
                directory=self._directory,
                began=began,
                uploading=self._uploading,
                over=self._over,
                give_up_at=give_up_at,
            )

    def _uploading(self, run: str) -> int:
        """Return how many specs of a run are stored, but not released; 0 while Redis does not say."""
        with suppress(redis.RedisError, CouponpressError):
            return self._ledger.status(self._ledger.number_of(run)).uploading
        return 0

    # What goes wrong

    def _carry_out_act(self, act: Act, producers: list[Producer], wait_until: float) -> None:
        """Do it; Redis loses the second in which a producer was told that its piece is stored, if that comes soon."""
        if act.what == "redis loses a second" and time.monotonic() < wait_until and not self._just_confirmed(producers):
            self._at(time.monotonic() + 0.1, lambda: self._carry_out_act(act, producers, wait_until))
            return
        self._say(str(act))
        self._acts[act.what if act.who in {"redis", "platform"} else f"{act.who.partition('-')[0]} killed"] += 1
        undo_at = time.monotonic() + act.seconds
        if act.who == "redis":
            self._redis.strike(act.what)
            if self._redis.down is not None:
                self._at(undo_at, lambda: self._redis_back(producers))
        elif act.who == "platform":
            self._sandbox.control(**act.details)
            began = time.monotonic()
            self._at(undo_at, lambda: self._platform_back(act, began))
        else:
            self._kill(act)

    @staticmethod
    def _just_confirmed(producers: list[Producer]) -> bool:
        newest = max((one.confirmed or 0 for producer in producers for one in producer.submitted), default=0)
        return time.monotonic() - newest < FSYNC_SECONDS / 2

    def _kill(self, act: Act) -> None:
        killed = self._fleet.kill(act.who, act.seconds)
        if killed is None or not act.who.startswith("worker"):
            return
        at, pid = killed
        try:
            self._kills.append(Kill(at, act.who, *in_hand(self._redis.client, self._keys, pid)))
        except redis.RedisError:  # away as well: its leases are read when Redis is back
            self._unread_kills[len(self._kills)] = pid
            self._kills.append(Kill(at, act.who, in_hand=None))

    def _read_kills(self) -> None:
        """Read what those had in hand who were killed while Redis was away; their leases outlive most absences."""
        for number, pid in list(self._unread_kills.items()):
            with suppress(redis.RedisError):
                waiting, every = in_hand(self._redis.client, self._keys, pid)
                if every:
                    self._kills[number] = self._kills[number]._replace(task_ids=waiting, in_hand=every)
                    del self._unread_kills[number]

    def _redis_back(self, producers: list[Producer]) -> None:
        self._redis.undo()
        self._read_kills()
        for lost in self._redis.forgotten[self._repeated :]:
            self._repeated += 1
            for producer in producers:
                producer.repeat(Span(lost.began, time.monotonic()))

    def _platform_back(self, act: Act, began: float) -> None:
        self._sandbox.control(limit=LIMIT, faults=self._always)
        if act.what == "outage":
            self._platform_off.append(Span(began, time.monotonic(), act.what))

    # What happens all the time

    def _at(self, moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), do))

    def _live_until(self, condition: Callable[[], object], seconds: float, what: str, *, fails: bool = True) -> None:
        """Carry out what is due, look after the fleet, and watch, until a condition holds."""
        deadline, look_at = time.monotonic() + seconds, 0.0
        while True:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            self._fleet.look_after()
            self._redis.remember_size()
            if now >= look_at:
                self._look(now)
                look_at = now + _LOOK_EVERY_SECONDS
                if condition():
                    return
            if now > deadline:
                if fails:
                    raise TimeoutError(f"waited {seconds:.0f} s for {what}")
                return
            time.sleep(0.03)

    def _look(self, now: float) -> None:
        """Note whether work waits and somebody is there to do it; read the results of a run when it has ended."""
        if self._fleet.workers_ready():
            if self._no_worker_since is not None:
                self._workers_off.append(Span(self._no_worker_since, now, "no worker"))
                self._no_worker_since = None
        elif self._no_worker_since is None:
            self._no_worker_since = now
        if self._redis.down is not None:
            self._last_look = None
            return
        try:
            runs = self._statuses()
        except redis.RedisError:
            self._last_look = None
            return
        waiting = sum(run.waiting for run in runs)
        if self._last_look is not None and waiting and self._last_look[1]:
            self._waiting.append(Span(self._last_look[0], now))
        self._last_look = (now, waiting)
        for run in runs:
            if run.finished and run.run not in self._seen_finished:
                with suppress(redis.RedisError):
                    self._earlier += self._results(run.run)
                    self._seen_finished.add(run.run)

    def _statuses(self) -> list[RunStatus]:
        return [self._ledger.status(number) for number in self._ledger.run_numbers()]

    def _results(self, run: str) -> list[Result]:
        outcomes = self._ledger.outcomes(self._ledger.number_of(run))
        return [
            Result(run, one.row_id, one.task_id, one.brand_id, one.outcome, one.image_url, one.code, one.message)
            for one in outcomes
        ]

    def _all_finished(self) -> bool:
        with suppress(redis.RedisError):
            runs = self._statuses()
            return len(runs) == len(self._catalogs) and all(run.finished and not run.uploading for run in runs)
        return False

    # What came of it

    def _batcher(self, producers: list[Producer], unfinished: list[str], seconds: float) -> Outcome:
        counted = self._sandbox.statistics()
        calls, tasks = self._sandbox.calls(), self._sandbox.tasks()
        submitted = [one for producer in producers for one in producer.submitted]
        unfinished += [f"{one.piece} was never confirmed" for one in submitted if one.confirmed is None]
        confirmed = [one.piece for one in submitted if one.confirmed is not None]
        runs = {run.run: run for run in self._statuses()}
        forbidden = [*self._workers_off]
        forbidden += [Span(away.began, away.ended + BACK_SECONDS, away.why) for away in self._redis.away]
        forbidden += [Span(off.began, off.ended + _AFTER_OUTAGE_SECONDS, off.why) for off in self._platform_off]
        evidence = Evidence(
            specs=[spec for piece in confirmed for spec in self._specs(piece.run, piece.first, piece.rows)],
            calls=[
                Call(*values)
                for values in zip(
                    *(calls[name] for name in ("moments_us", "task_ids", "bodies", "statuses", "answered_us")),
                    *(calls[name] for name in ("meanings", "faults", "lost_us")),
                    [self._senders.get(port, "") for port in calls["ports"]],
                    strict=True,
                )
            ],
            tasks={one: Task(state, tasks["image_urls"].get(one, "")) for one, state in tasks["states"].items()},
            results=[result for run in runs for result in self._results(run)],
            earlier=self._earlier,
            counts={name: _counts(run) for name, run in runs.items()},
            kills=self._kills,
            redis_away=self._redis.away,
            forgotten=self._redis.forgotten,
            platform_off=self._platform_off,
            waiting=self._waiting,
            forbidden=forbidden,
            late_us=[(began, ended) for began, ended in calls["late_us"]],
            limit=LIMIT,
        )
        return Outcome(
            evidence,
            unfinished,
            list(self._notes(submitted)),
            lag_ms=counted["lag_ms"],
            faults=counted["faults"],
            callbacks=counted["callbacks"],
            acts=self._acts,
            healed=sum(one.healed for one in submitted),
            seconds=seconds,
        )

    def _notes(self, submitted) -> Iterator[str]:
        wanted = sum(bool(one.piece.killed_after_rows) for one in submitted)
        yield f"{sum(one.killed for one in submitted)} of {wanted} producers were killed in mid-upload"
        failed = sum(len(one.failed) for one in submitted)
        yield f"{failed} submit commands failed and were repeated"
        if self._unread_kills:
            yield f"{len(self._unread_kills)} workers were killed while Redis was away: what they had is not known"
        for service in self._fleet.services.values():
            if service.ended_alone:
                yield f"{service.name} ended by itself {len(service.ended_alone)} times: {service.ended_alone}"

    def _specs(self, run: str, first: int, rows: int) -> Iterator[Spec]:
        lines = self._catalogs[run]
        text = "".join([lines[0], *lines[1 + first : 1 + first + rows]]).encode()
        settle = identified_in(run)
        with read(io.BytesIO(text), format="csv") as catalog:
            for row in catalog:
                task_id, (row_id, body), *_ = settle(row.serialized_spec)
                brand_id = body.partition(b'"brand_id":"')[2].partition(b'"')[0].decode()
                yield Spec(task_id, run, row_id, brand_id, body_digest(body))


def _counts(run: RunStatus) -> dict[str, int]:
    ended = {name: getattr(run, name) for name in _ENDED}
    return ended | {"open": run.total - sum(ended.values())}


def _catalog(directory: Path, run: str, rows: int, seed: int, *, one_brand: bool) -> list[str]:
    """Write a catalog and return its lines. Rows of one brand are stored by the hundred, also in mid-upload."""
    path = directory / f"{run}.csv"
    sample_catalog.write(path, rows=rows, seed=seed, broken=0)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *lines = stream.readlines()
    if one_brand:
        kept, *others = (brand_id for _, brand_id, _ in sample_catalog.BRANDS)
        brand = re.compile(f",({'|'.join(others)}),")
        lines = [brand.sub(f",{kept},", line, count=1) for line in lines]
    return [header, *lines]
