"""Estimates how long a night takes and whether it ends in time (pure: values in, a sentence out).

Counts everything that waits in the ledger already, and says what happens to a night that would be late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from couponpress.plurals import counted
from couponpress.uploads.forecast import Forecast

#: What to do with a night that overlaps an earlier one or cannot meet its deadline.
Answer = Literal["queue", "skip", "replace"]

_OVERLAP_WORDS: Final[dict[Answer, str]] = {
    "queue": "it goes behind it (on_overlap = queue)",
    "skip": "nothing is sent (on_overlap = skip)",
    "replace": "what that has not sent is taken back (on_overlap = replace)",
}
_LATE_WORDS: Final[dict[Answer, str]] = {
    "queue": "it is sent all the same (on_late = queue)",
    "skip": "nothing is sent (on_late = skip)",
    "replace": "what earlier runs have not sent is taken back (on_late = replace)",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of a night's rows.

    Attributes:
        rows: those that can be submitted.
        changed: those that are sent: new, changed, failed the last time, or all.
        unchanged: those that are not, because they succeeded as they are.
        under_way: those that are not, because an earlier night's run still works on them as they are.
        broken: those that break a rule.
    """

    rows: int = 0
    changed: int = 0
    unchanged: int = 0
    under_way: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night would do.

    Attributes:
        counts: its rows.
        before: how many specs wait already and go first.
        rate: how many a second the fleet submits; None until a worker has reported it.
        now: when it begins, in the schedule's time zone.
        deadline: when it must be over.
    """

    counts: Counts
    before: int
    rate: float | None
    now: datetime
    deadline: datetime | None = None

    @property
    def forecast(self) -> Forecast | None:
        """How long it takes; None while the rate is not known."""
        if self.rate is None:
            return None
        return Forecast(self.before + self.counts.changed, self.rate, self.now.timestamp(), self.now.tzinfo)

    @property
    def late(self) -> bool:
        """Whether it cannot meet its deadline; False while the rate is unknown."""
        if self.deadline is None or self.forecast is None or not self.counts.changed:
            return False
        return self.forecast.done_by.timestamp() > self.deadline.timestamp()

    @property
    def sentence(self) -> str:
        """The plan for people."""
        told = [f"{counted(self.counts.rows, 'row')}, {self.counts.changed:,} changed"]
        if self.counts.under_way:
            told.append(f"{self.counts.under_way:,} under way in an earlier run")
        if self.counts.broken:
            told.append(f"{self.counts.broken:,} broken")
        if not self.counts.changed:
            return ", ".join([*told, "nothing to send"])
        if self.before:
            told.append(f"{self.before:,} waiting before them")
        if self.forecast is None:
            return ", ".join([*told, "at a rate that no worker has told yet"])
        told.append(self.forecast.sentence)
        if self.late and self.deadline is not None:
            told.append(f"too late for its deadline {self.forecast.told(self.deadline)}")
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a night whose plan is known.

    Attributes:
        send: whether it is submitted at all.
        replace: whether the earlier runs are cancelled first.
        sentence: the plan and the reason for the decision.
    """

    send: bool
    replace: bool
    sentence: str


def decide(plan: Plan, earlier: Sequence[str], *, on_overlap: Answer, on_late: Answer) -> Decision:
    """Return what to do with a night, given the unfinished runs of the same schedule."""
    if not plan.counts.changed:
        return Decision(send=True, replace=False, sentence=plan.sentence)
    told, answers = [plan.sentence], set()
    if earlier:
        answers.add(on_overlap)
        told.append(f"{' and '.join(earlier)} is not finished yet: {_OVERLAP_WORDS[on_overlap]}")
    if plan.late:
        answers.add(on_late)
        told.append(f"it cannot meet its deadline: {_LATE_WORDS[on_late]}")
    skip = "skip" in answers
    return Decision(send=not skip, replace="replace" in answers and not skip, sentence="; ".join(told))
