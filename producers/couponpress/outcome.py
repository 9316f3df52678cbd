"""The states of a spec, and the outcomes that end it.

Each has a word for people and a one-letter code in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a spec is. The last five are outcomes: nothing leaves them but a redrive."""

    WAITING = "waiting"
    RETRYING = "retrying"
    LOOKING = "looking"
    PAUSED = "paused"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether this state is an outcome."""
        return self in OUTCOMES


OUTCOMES = frozenset({State.SUCCEEDED, State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED})

#: One letter per spec in a chunk's state string; `ledger/transitions.lua` holds the same letters.
LETTERS: dict[State, str] = {
    State.WAITING: "w",
    State.RETRYING: "y",
    State.LOOKING: "l",
    State.PAUSED: "p",
    State.ACCEPTED: "a",
    State.SUCCEEDED: "s",
    State.FAILED: "f",
    State.REJECTED: "r",
    State.EXPIRED: "x",
    State.CANCELLED: "c",
}
STATE_OF_LETTER: dict[str, State] = {letter: state for state, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the results.

    Attributes:
        row_id: the catalog's own id.
        task_id: the serial that the platform knows.
        brand_id: the brand.
        outcome: the outcome's word; empty while the spec has none.
        image_url: the picture, when the outcome is `succeeded`.
        code: the reason as a code: the platform's, or one of ours.
        message: the reason in words.
        attempts: how many tries were spent; waiting at the limiter spends none.
        request_id: the platform's Request-ID of the call that the reason comes from; WeChat Pay's support asks for it.
    """

    row_id: str
    task_id: str
    brand_id: str
    outcome: str
    image_url: str = ""
    code: str = ""
    message: str = ""
    attempts: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The progress of one run, in specs.

    Attributes:
        run: the run's name.
        lane: `urgent` or `bulk`.
        total: specs that the run holds; the counts of all states add up to it.
        uploading: specs stored but not yet released for submitting, because the upload has not finished.
        paused: specs that somebody chose by a filter and paused; they are not sent until somebody resumes them.
        throttled: answers that said "too fast"; none of them spent a try.
        created_at: when the run was first named, seconds since 1970 on Redis's clock.
        finished_at: when the last spec got its outcome; None while any is open.
        hold: why submitting is stopped, when it is.
        hook_trouble: why the run's hook did not take that the run is finished, while it is still to be told.
    """

    run: str
    lane: str
    total: int
    uploading: int
    waiting: int
    retrying: int
    looking: int
    paused: int
    accepted: int
    succeeded: int
    failed: int
    rejected: int
    expired: int
    cancelled: int
    throttled: int
    created_at: float
    finished_at: float | None
    hold: str | None = None
    hook_trouble: str | None = None

    @property
    def finished(self) -> bool:
        """Whether every spec has an outcome and no upload is open."""
        return self.finished_at is not None

    @property
    def ended(self) -> int:
        """How many specs have an outcome."""
        return self.succeeded + self.failed + self.rejected + self.expired + self.cancelled

    @property
    def ended_badly(self) -> int:
        """How many specs ended without a picture."""
        return self.ended - self.succeeded
