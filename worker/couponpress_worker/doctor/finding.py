"""What the doctor hands back: one check, and the cure when it is not good."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is good, what was seen, and the cure if it is not."""

    name: str
    good: bool
    seen: str
    cure: str = ""
