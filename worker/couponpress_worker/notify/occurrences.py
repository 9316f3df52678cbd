"""What happened, once, as it is stored until it is told (pure).

An occurrence has an id that is the same whoever finds it, so that it is told once. What it tells of is kept as plain
values; sentences are made from them when it is told, in the language of each target.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from couponpress.ledger.stored import from_stored
from couponpress.notify.target import Target


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened.

    Attributes:
        id: the same for the same occurrence, whoever finds it.
        event: what kind of thing it is, such as `hold.begun`.
        at: when, seconds since 1970 on Redis's clock.
        about: what happened, as plain values; `sentences` knows which each event has.
        brands: the brands that it concerns; None when it may concern every brand.
        schedule: the schedule that it concerns; None when it may concern every schedule, empty when none.
    """

    id: str
    event: str
    at: float
    about: dict[str, Any]
    brands: tuple[str, ...] | None = None
    schedule: str | None = None

    @classmethod
    def read(cls, text: bytes | str) -> Self:
        """Read an occurrence as it is stored."""
        told = json.loads(text)
        told["brands"] = None if told["brands"] is None else tuple(told["brands"])
        return from_stored(cls, told)

    def stored(self) -> str:
        """Return it as it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    def concerns(self, target: Target) -> bool:
        """Whether a target wants to be told of it."""
        of_brand = not target.brands or self.brands is None or bool({*target.brands} & {*self.brands})
        of_schedule = not target.schedules or self.schedule is None or self.schedule in target.schedules
        return self.event in target.events and of_brand and of_schedule
