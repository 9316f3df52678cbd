"""What the routes that act on runs and the fleet take and answer, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from couponpress.gateway.document import Shown
from couponpress.keys import Lane
from couponpress.ledger.chosen import BulkAct
from couponpress.ledger.redrive import RedrivenOutcome
from couponpress.outcome import State


class Redriven(Shown):
    """How many specs are sent again."""

    run: str
    again: int


class DeadLettersDeleted(Shown):
    """How many dead letters were deleted, or would be."""

    chunks: int
    messages: int


class WideHeld(Shown):
    """Whether this call held a brand, or everything."""

    held: bool


class WideReleased(Shown):
    """Whether this call released a brand, or everything."""

    released: bool


class ActorShown(Shown):
    """Who did something."""

    door: str = Field(description="cli, client, gateway, console, schedule or fleet.")
    name: str
    address: str


class HoldShown(Shown):
    """Submitting is stopped, and why."""

    scope: str = Field(description="`partner`, the run's name, or the brand's id.")
    kind: str = Field(description="partner, run or brand.")
    reason: str
    cure: str
    since: float = Field(description="Seconds since 1970.")
    by: ActorShown | None
    why: str
    until: float | None = Field(description="When it ends by itself, seconds since 1970; null: when it is released.")


class HoldList(Shown):
    """Every hold that concerns the token, the oldest first."""

    holds: list[HoldShown]


class LimitShown(Shown):
    """The rate at which the fleet submits, and why."""

    configured: str
    by_hand: str
    by_hand_since: float
    by_hand_until: float | None
    found: int | None
    found_since: float
    held_seconds: float
    quiet_seconds: float
    slots_per_second: float | None
    in_force: str
    why: str


class AuditEntryShown(Shown):
    """What was done or refused."""

    entry_id: str
    at: float = Field(description="Seconds since 1970.")
    act: str
    result: str
    run: str = Field(description="By its stored name; with `brand` empty too, everything.")
    brand: str
    detail: str
    door: str
    who: str
    address: str
    why: str


class AuditList(Shown):
    """Entries, the latest first."""

    entries: list[AuditEntryShown]


class WhyBody(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field("", max_length=500, description="The reason, for holds and the audit log.")


class PauseBody(WhyBody):
    """Why, and until when."""

    until: str | None = Field(None, max_length=40, description="When it ends by itself: a moment with its time zone.")
    lasting: str | None = Field(None, alias="for", max_length=40, description="How long it lasts, such as 30m or 2h.")


class RedriveBody(WhyBody):
    """Which ended specs are sent again, and why."""

    outcome: RedrivenOutcome | None = Field(
        None, description="Only specs that ended so; null: all that ended badly, except failed ones."
    )
    code: str | None = Field(None, max_length=100, description="Only specs whose reason has this code.")


class DeleteBody(WhyBody):
    """Why, and whether only to count."""

    dry_run: bool = Field(False, strict=True, description="Only count them.")


class LimitBody(PauseBody):
    """The new rate."""

    rate: str = Field(max_length=40, description="Such as 300/second or 600/minute; `default`: the configured one.")


class SelectionBody(BaseModel):
    """Which specs are meant, and for what; at least one part of the filter must be given."""

    model_config = ConfigDict(extra="forbid")

    act: BulkAct = Field(description="What they are chosen for.")
    run: str | None = Field(None, max_length=100, description="Only specs of this run.")
    brand: str | None = Field(None, max_length=64, description="Only specs of this brand.")
    states: list[State] = Field([], description="Only specs in one of these states.")
    code: str | None = Field(None, max_length=100, description="Only specs whose reason has this code.")
    lane: Lane | None = Field(None, description="Only specs of this lane.")
    older_than: str | None = Field(None, max_length=40, description="Only specs enqueued longer ago, such as 2h.")


class SelectionShown(Shown):
    """A selection: what matched at one moment, and how far the act on it is."""

    id: str
    act: str
    selection: str = Field(description="The filter, in words.")
    state: str = Field(description="counting, counted, acting, done, stopped or failed.")
    specs: int = Field(description="How many specs matched; while it is counting, so far.")
    done: int = Field(description="How many were changed so far.")
    runs: dict[str, int] = Field(description="Run -> how many of its specs match, those with the most first.")
    trouble: str
