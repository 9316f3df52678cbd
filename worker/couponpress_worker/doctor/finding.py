"""The result of one check, with its cure if it failed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether it passed, what was found, and the cure if it failed."""

    name: str
    good: bool
    seen: str
    cure: str = ""
