"""Tells what happened in a process: each event once, to everybody who listens to its kind.

A metric, a trace, a log line or a counter is a listener. To add one, write a function that takes the event and call
`Events.listen` where the process is wired (`runtime/process.py`, `runtime/services.py`). The code that sends requests
knows no listener: it is given `tell`, and calls it with one of the events below.

A listener is called at once, in the event loop of the process and within the act that it hears of. It must be quick and
must not wait. An error in a listener is logged and counted as a failure of the loop `listener`; the act goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from couponpress.ledger.fleet_queries import Place
from couponpress.outcome import State
from couponpress_worker.periodic import Failures
from couponpress_worker.wechatpay.client import Reason
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer

log = logging.getLogger(__name__)

J = TypeVar("J")
E = TypeVar("E", bound="Event")

#: What a call of the platform is for; each kind but the last has a limit of its own.
CallKind: TypeAlias = Literal["submit", "query", "upload", "certificates"]
#: Who learned how a spec ended: a callback, a query of ours, or the answer to its submission.
LearnedBy: TypeAlias = Literal["callback", "query", "submit"]
#: What a callback led to: `done` (its spec has its outcome), `repeated`, `unknown` (a task of another system), `test`
#: (a notice of the doctor), or `other` (an event of another kind).
CallbackResult: TypeAlias = Literal["done", "repeated", "unknown", "test", "other"]
#: Why a callback was not taken. Its signature does not hold: a `probe` of the platform, missing `headers`, the `clock`,
#: a `key` that is not held, the `signature`. Its content: no `object`, a `resource` that does not open, an unknown
#: `state`. On our side: `not stored`, `not forwarded`. Before it was read: `large`, `slow`, `cut off`, another `path`.
CallbackRefusal: TypeAlias = Literal[
    "probe", "headers", "clock", "key", "signature", "object", "resource", "state",
    "not stored", "not forwarded", "large", "slow", "cut off", "path",
]  # fmt: skip


class Event:
    """Something that happened once."""

    __slots__ = ()


# The two events of every request are not frozen: making a frozen value takes three times as long. Nobody changes one.
@dataclass(slots=True)
class Sent(Event):
    """A request leaves: its bytes are written right after this.

    Attributes:
        kind: what it is for.
        moment_us: on Redis's clock, microseconds since 1970.
        place: the spec that it is about; None for uploads.
    """

    kind: CallKind
    moment_us: int
    place: Place | None = None


@dataclass(slots=True)
class Answered(Event, Generic[J]):
    """A call came to its end: the answer, or the lack of one, and what that means.

    An answer of 429 has the judgement `Throttled`. A request without an answer may have left or not: see `error`.

    Attributes:
        kind: what the call was for.
        answer: what came back.
        judgement: what it means for the spec and for the fleet; None for certificates.
        seconds: from the moment when the bytes left to the end of the answer; when none left, from the beginning of
            the call, so with the wait for a connection.
        place: the spec that it was about; None for uploads and certificates.
    """

    kind: CallKind
    answer: Answer | NoAnswer
    judgement: J
    seconds: float
    place: Place | None = None

    @property
    def status(self) -> int:
        """The HTTP status; 0 when no answer came."""
        return self.answer.status if isinstance(self.answer, Answer) else 0

    @property
    def code(self) -> str:
        """The platform's upper-case word for what is wrong; empty when it gave none."""
        return self.answer.code if isinstance(self.answer, Answer) else ""

    @property
    def error(self) -> Literal["", "not_sent", "open"]:
        """Why no answer came: surely `not_sent`, or `open`: sent, and nobody knows more. Empty when one came."""
        return self.answer.kind if isinstance(self.answer, NoAnswer) else ""

    @property
    def request_id(self) -> str:
        """The platform's Request-ID of the call; empty when no answer came."""
        return self.answer.request_id if isinstance(self.answer, Answer) else ""


@dataclass(frozen=True, slots=True)
class Unsent(Event):
    """A request that was about to leave was kept back: no byte was written, and it may be sent later."""

    kind: CallKind
    reason: Reason
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class ChunkTaken(Event):
    """This process has a chunk in hand.

    Attributes:
        chunk_id: which one.
        run: the name of its run.
        made_us: when it was enqueued, on Redis's clock, microseconds since 1970; 0 when the record does not tell.
        waiting: the positions of the specs that are to be sent.
        unsent: of those that were never sent, the task_id by the position.
        trace: the traces of the programs that enqueued its specs; see `couponpress.ledger.trace_context`.
    """

    chunk_id: str
    run: str
    made_us: int
    waiting: tuple[int, ...]
    unsent: Mapping[int, str]
    trace: str = ""


@dataclass(frozen=True, slots=True)
class ChunkLeft(Event):
    """A chunk is out of this process's hands, or never came into them.

    Attributes:
        chunk_id: which one.
        note: what became of it, in a word or two: closed, handed on, kept back, lease lost; of a
            hint that led to no chunk: held, capped, suspect, dead letter, taken, nothing.
        sent: how many requests were sent for it.
    """

    chunk_id: str
    note: str
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """A spec has its outcome, and the ledger has it too.

    Attributes:
        place: the spec.
        outcome: one of the five last states.
        code: why, as a code; empty for a picture that was made.
        by: who learned it.
    """

    place: Place
    outcome: State
    code: str
    by: LearnedBy


@dataclass(frozen=True, slots=True)
class CallbackReceived(Event):
    """A callback was taken: it verified, what it says is stored, and the platform need not repeat it."""

    result: CallbackResult


@dataclass(frozen=True, slots=True)
class CallbackRefused(Event):
    """A callback was not taken.

    Attributes:
        status: what it was answered.
        reason: why.
    """

    status: int
    reason: CallbackRefusal


@dataclass(frozen=True, slots=True)
class Held(Event):
    """This process sends nothing more of a scope.

    Attributes:
        scope: the partner, a brand or a run, as the ledger names it.
        shown: the same, as people know it.
        reason: what was refused, or what a person gave.
        cure: what to do about it.
        ours: whether this process set the hold, and was the first.
    """

    scope: str
    shown: str
    reason: str
    cure: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Released(Event):
    """This process may send of a scope again; `scope` and `shown` as in `Held`."""

    scope: str
    shown: str


@dataclass(frozen=True, slots=True)
class RedisAway(Event):
    """Redis does not answer this process, or refuses its writes; nothing is sent until it is back."""

    why: str


@dataclass(frozen=True, slots=True)
class RedisBack(Event):
    """Redis answers this process again.

    Attributes:
        seconds: how long it was away.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """The platform seems to be down: this process sends probes only."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """The platform answers again.

    Attributes:
        seconds: how long the breaker was open.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class LoopFailed(Event):
    """A background loop ran into an error that nobody foresaw, and goes on. May come from another thread.

    Attributes:
        loop: its name.
        error: what it ran into.
        count: how often it did so far.
    """

    loop: str
    error: BaseException
    count: int


#: Tells an event to whoever listens.
Tell: TypeAlias = Callable[[Event], None]


def unheard(event: Event) -> None:
    """Tell nobody."""
    del event


class Events:
    """The listeners of one process, by the kind of event."""

    def __init__(self, failures: Failures) -> None:
        """Take what counts the unforeseen errors of the process; from now on each of them is told as well."""
        self._failures = failures
        failures.heard = self._loop_failed
        self._listeners: dict[type[Any], list[Callable[[Any], None]]] = {}

    def listen(self, kind: type[E], listener: Callable[[E], None]) -> None:
        """Call `listener` with each event of that kind from now on, after those who listen already."""
        self._listeners.setdefault(kind, []).append(listener)

    def tell(self, event: Event) -> None:
        """Call whoever listens to that kind; one listener's error keeps none of the others from hearing."""
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception as error:
                if isinstance(event, LoopFailed):  # to count it would tell the same listener again
                    log.exception("a listener of failures failed")
                else:
                    self._failures.note("listener", error)

    def _loop_failed(self, loop: str, error: BaseException, count: int) -> None:
        self.tell(LoopFailed(loop, error, count))
