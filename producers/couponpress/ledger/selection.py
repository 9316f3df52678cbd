"""Which specs an act is about: all that match a filter of run, brand, state, code, lane and age (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from couponpress.errors import DamagedChunkError, InputError
from couponpress.keys import Lane
from couponpress.language import gettext, quoted
from couponpress.ledger.chunks import unpack
from couponpress.ledger.progress import CANCELLED_WORDS
from couponpress.outcome import STATE_OF_LETTER, State


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter; each part that is given narrows it.

    Attributes:
        run: only specs of this run.
        brand: only specs of this brand.
        states: only specs in one of these states.
        code: only specs whose reason has this code.
        lane: only specs of runs in this lane.
        older_than: only specs that were enqueued longer ago than this.
    """

    run: str | None = None
    brand: str | None = None
    states: frozenset[State] = frozenset()
    code: str | None = None
    lane: Lane | None = None
    older_than: timedelta | None = None

    @classmethod
    def of(
        cls,
        *,
        run: str | None = None,
        brand: str | None = None,
        states: tuple[str, ...] = (),
        code: str | None = None,
        lane: str | None = None,
        older_than: timedelta | None = None,
    ) -> Selection:
        """Check what a person or a program gave.

        Raises:
            InputError: a state or a lane is none, or nothing at all was given: an act on everything must say so.
        """
        if wrong := [state for state in states if state not in set(State)]:
            raise InputError(
                gettext("a state is one of %(states)s, not %(wrong)s.")
                % {"states": ", ".join(State), "wrong": quoted(wrong[0])}
            )
        if lane not in {None, "urgent", "bulk"}:
            raise InputError(gettext("a lane is urgent or bulk, not %(lane)s.") % {"lane": quoted(lane)})
        made = cls(run, brand, frozenset(map(State, states)), code, _lane(lane), older_than)
        if made == cls():
            raise InputError(
                gettext("an empty filter matches everything, so it is refused; say which specs are meant.")
            )
        return made

    def within(self, run: str) -> Selection:
        """Return this filter for a run."""
        return replace(self, run=run)

    def __str__(self) -> str:
        """The filter for people and for the audit log, for example `brand=7 state=rejected code=NO_AUTH`."""
        told = {"run": self.run, "brand": self.brand, "state": ",".join(sorted(self.states)) or None}
        told |= {"code": self.code, "lane": self.lane}
        if self.older_than is not None:
            told["older-than"] = f"{self.older_than.total_seconds():.0f}s"
        return " ".join(f"{name}={text}" for name, text in told.items() if text is not None)

    def fields(self) -> list[str]:
        """Return the fields of a chunk's record that `positions` needs."""
        fields = ["s", "made"]
        fields += ["z"] if self.brand is not None else []
        return fields + ([str(position) for position in range(100)] if self.code is not None else [])

    def positions(self, chunk: Mapping[str, bytes], states: frozenset[State], now: float) -> list[int]:
        """Return which specs of a chunk match, of those in `states`.

        Args:
            chunk: the fields of its record that `fields` names; those that it lacks are left out.
            states: the states that the act changes.
            now: seconds since 1970 on Redis's clock.
        """
        seconds, _, micros = chunk.get("made", b"0").partition(b".")
        made_at = int(seconds or 0) + int(micros or 0) / 1e6
        if self.older_than is not None and made_at > now - self.older_than.total_seconds():
            return []
        wanted = states & self.states if self.states else states
        letters = chunk.get("s", b"").decode(errors="replace")
        found = [at for at, letter in enumerate(letters) if STATE_OF_LETTER.get(letter) in wanted]
        if found and self.brand is not None:
            try:
                rows = unpack(chunk.get("z", b""))
            except DamagedChunkError:
                return []
            found = [at for at in found if at < len(rows) and rows[at].brand_id == self.brand]
        if self.code is not None:
            found = [at for at in found if _code(chunk.get(str(at)), letters[at]) == self.code]
        return found


def _lane(lane: str | None) -> Lane | None:
    return "urgent" if lane == "urgent" else "bulk" if lane == "bulk" else None


def _code(record: bytes | None, letter: str) -> str:
    code = str(json.loads(record)[1]) if record else ""
    cancelled = STATE_OF_LETTER.get(letter) is State.CANCELLED
    return CANCELLED_WORDS[0] if cancelled and not code else code
