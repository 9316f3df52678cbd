"""The values of an overview: one frozen tree that console, terminal, metrics and `status` show.

Moments are seconds since 1970 on Redis's clock; rates are requests a second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from couponpress.keys import Lane
from couponpress.ledger.outage import PlatformDown
from couponpress.ledger.presence import Present
from couponpress.ledger.progress import Hold
from couponpress.ledger.rate import RateInForce
from couponpress.outcome import RunStatus
from couponpress.overview.bound import Bound
from couponpress.overview.eta import Eta
from couponpress.overview.send_rate import Sending
from couponpress.overview.server import RedisState


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of the fleet.

    Attributes:
        rate: the rate in force, where it comes from, and what refusals taught.
        configured_per_second: as a worker was started, or as it was set by hand; None while no worker has told.
        effective_per_second: how many requests a second really leave at the rate in force; None as above.
        refused_at: when the request was sent whose refusal slowed the fleet last; None while none was refused.
        refused: how many requests were refused ("too fast") at that time.
        before_per_second: how many a second were given when the platform refused.
        more_at: from when on more is tried again; None while the limit is not lowered.
    """

    rate: RateInForce
    configured_per_second: float | None
    effective_per_second: float | None
    refused_at: float | None
    refused: int
    before_per_second: int | None
    more_at: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many specs are in each state."""

    waiting: int = 0
    retrying: int = 0
    looking: int = 0
    paused: int = 0
    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0

    @property
    def to_send(self) -> int:
        """Specs that the platform has not accepted and that have no outcome."""
        return self.waiting + self.retrying + self.looking


@dataclass(frozen=True, slots=True)
class LaneOverview:
    """One lane.

    Attributes:
        name: `urgent` or `bulk`.
        counts: the specs of all its runs that are kept.
        chunks: chunks with specs that wait to be sent; those in a worker's hands are among them.
        held_chunks: how many of these a hold keeps back.
        oldest_waiting_since: since when the spec waits that waits longest; None while none waits. Of a retry: since
            its chunk was made.
    """

    name: Lane
    counts: Counts
    chunks: int
    held_chunks: int
    oldest_waiting_since: float | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why specs of a run ended badly: how many did, and when the first and the last of them.

    A moment is None when it is not known. `latest` is the place of the last one, a chunk's id and a position; it may be
    empty.
    """

    outcome: str
    code: str
    count: int
    first_seen: float | None
    last_seen: float | None
    latest: str = ""


@dataclass(frozen=True, slots=True)
class RunOverview:
    """One run.

    Attributes:
        number: its number in the ledger.
        status: its counts and phases.
        reasons: why specs ended badly, the most frequent first.
        eta: when the rest of it will be sent; None when everything was.
    """

    number: str
    status: RunStatus
    reasons: tuple[Reason, ...]
    eta: Eta | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How many specs ever ended so; a spec that is sent again and ends again counts again. `code` may be empty."""

    outcome: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What happened since the partner's first spec; no number here ever shrinks.

    Attributes:
        endings: how specs ended.
        tries: tries that were spent.
        throttled: answers that said "too fast".
        callbacks: callbacks that arrived, by their kind.
    """

    endings: tuple[Ending, ...]
    tries: int
    throttled: int
    callbacks: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole fleet at one moment.

    Attributes:
        at: the moment.
        bound: what the fleet is bound by.
        submit: the limit of requests that submit a spec.
        query: the limit of requests that ask how a spec ended.
        sending: the requests of the last ten minutes.
        lanes: the urgent lane, then the bulk lane.
        processes: those that run, by role, machine and process id.
        platform_down: since when and why the platform is found to be down; None while it is not.
        holds: what is held and why, the oldest first; the scope of a run's hold is the run's name.
        dead_letter_chunks: chunks that were taken out of the work.
        dead_letter_messages: messages that were no hints, as far as they are kept.
        retries: specs that wait for their next try, and `next_retry_at`, when the first of them is due.
        lookups: specs that are asked about before they may be sent again.
        awaiting_chunks: chunks with accepted specs whose outcome is open.
        awaiting_since: since when the oldest of these was neither accepted nor asked about.
        totals: what happened ever.
        schedules: each schedule's name, and when a night of it was last over in order.
        redis: what Redis says of itself.
        runs: the newest runs, and older ones that are not finished; the newest first.
        runs_kept: how many runs there are.
        runs_unfinished: how many of them are not finished.
    """

    at: float
    bound: Bound
    submit: Limit
    query: Limit
    sending: Sending
    lanes: tuple[LaneOverview, ...]
    processes: tuple[Present, ...]
    platform_down: PlatformDown | None
    holds: tuple[Hold, ...]
    dead_letter_chunks: int
    dead_letter_messages: int
    retries: int
    next_retry_at: float | None
    lookups: int
    awaiting_chunks: int
    awaiting_since: float | None
    totals: Totals
    schedules: tuple[tuple[str, float], ...]
    redis: RedisState
    runs: tuple[RunOverview, ...]
    runs_kept: int
    runs_unfinished: int

    @property
    def workers(self) -> tuple[Present, ...]:
        """The workers that run."""
        return tuple(one for one in self.processes if one.role == "worker")

    def lane(self, name: Literal["urgent", "bulk"]) -> LaneOverview:
        """Return one lane."""
        return next(one for one in self.lanes if one.name == name)

    def as_json(self) -> dict[str, Any]:
        """Return the tree as plain values for `json.dumps`, with what the properties of its parts tell."""
        told = asdict(self)
        for name in ("submit", "query"):
            rate = getattr(self, name).rate
            told[name]["rate"] |= {"in_force": rate.in_force, "why": rate.why}
        for shown, run in zip(told["runs"], self.runs, strict=True):
            shown["status"] |= {"finished": run.status.finished, "ended": run.status.ended}
        return told
