"""What a token may do to runs, brands and the fleet: pause, resume, cancel, redrive, limit. Blocking, for threads.

An act on a run covers the whole run, so it needs a token for every brand of the run; one on everything or on the
limit needs a token for all brands and all runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

from starlette.requests import HTTPConnection

from couponpress.client import Client
from couponpress.gateway.problems import Refusal
from couponpress.gateway.rights import Right, Token
from couponpress.gateway.visibility import Visibility
from couponpress.ledger.attribution import Actor
from couponpress.ledger.audit import AuditEntry
from couponpress.ledger.moments import read_end, read_past
from couponpress.ledger.redrive import RedrivenOutcome

#: How a moment ends that names its time zone.
_ZONE = re.compile(r"T.*(Z|[+-]\d\d:?\d\d)\s*$")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the token, the address that it came from, and whether by a page or by a route."""

    token: Token
    address: str
    door: Literal["gateway", "console"] = "gateway"

    @property
    def actor(self) -> Actor:
        """The caller as holds and the audit log name it."""
        return Actor(self.door, self.token.name, self.address)

    def require(self, right: Right) -> None:
        """Refuse what the token's role does not allow.

        Raises:
            Refusal: it does not.
        """
        if not self.token.may(right):
            detail = f"token {self.token.name} has the role {self.token.role}, which may not {right}"
            raise Refusal("role-not-allowed", detail)

    def require_everything(self) -> None:
        """Refuse an act that reaches beyond the token's brands or runs.

        Raises:
            Refusal: it does.
        """
        if not self.token.sees_everything:
            detail = f"token {self.token.name} is not for all brands and all runs, and this would reach all of them"
            raise Refusal("brand-not-allowed", detail)


def address_of(request: HTTPConnection) -> str:
    """Return the address that a request came from; empty when it is not known."""
    return request.client.host if request.client else ""


class Control:
    """The acts of tokens."""

    def __init__(self, client: Client, visibility: Visibility) -> None:
        self._client = client
        self._visibility = visibility

    def pause(
        self, caller: Caller, run: str | None, brand: str | None, why: str, end: timedelta | datetime | None
    ) -> bool:
        """Hold a run, a brand, or with neither everything; False when it was held for as long already."""
        stored = self._scope(caller, run, brand)
        return self._client.acting_as(caller.actor).pause(stored, brand=brand, why=why, until=end)

    def resume(self, caller: Caller, run: str | None, brand: str | None, why: str) -> bool:
        """Release that hold; False when there was none."""
        stored = self._scope(caller, run, brand)
        return self._client.acting_as(caller.actor).resume(stored, brand=brand, why=why)

    def cancel(self, caller: Caller, run: str, why: str) -> int:
        """Take back what the platform has not accepted of a run; returns how many specs that were."""
        stored = self._scope(caller, run, None)
        return self._client.acting_as(caller.actor).cancel(stored, why=why)

    def redrive(self, caller: Caller, run: str, outcome: RedrivenOutcome | None, code: str | None, why: str) -> int:
        """Send ended specs of a run again; returns how many."""
        caller.require("operate")
        stored = self._visibility.whole_run(caller.token, run)
        return self._client.acting_as(caller.actor).redrive(stored, outcome=outcome, code=code, why=why)

    def delete_dead_letters(self, caller: Caller, why: str, *, dry_run: bool) -> tuple[int, int]:
        """Delete every dead letter, or only count them; returns how many chunks and messages."""
        caller.require("operate")
        caller.require_everything()
        return self._client.acting_as(caller.actor).delete_dead_letters(why=why, dry_run=dry_run)

    def set_limit(self, caller: Caller, rate: str, why: str, end: timedelta | datetime | None) -> None:
        """Set the fleet's rate; `default` goes back to the configured one."""
        caller.require("operate")
        caller.require_everything()
        self._client.acting_as(caller.actor).set_rate(None if rate == "default" else rate, until=end, why=why)

    def limit(self, caller: Caller) -> dict[str, Any]:
        """Return the rate in force and why."""
        caller.require("watch")
        told = self._client.rate()
        return asdict(told) | {"in_force": told.in_force, "why": told.why}

    def holds(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the holds that concern the token: of all, of its brands, of its runs."""
        caller.require("watch")
        token, shown = caller.token, []
        for hold in self._client.holds():
            scope: str | None = hold.scope
            if hold.kind == "run":
                scope = token.shown_name(hold.scope) if self._visibility.sees(token, hold.scope) else None
            elif hold.kind == "brand" and not token.may_use(hold.scope):
                scope = None
            if scope is not None:
                shown.append(asdict(hold) | {"scope": scope})
        return shown

    def audit(
        self,
        caller: Caller,
        now: datetime,
        *,
        since: str | None,
        until: str | None,
        who: str | None,
        act: str | None,
        most: int,
    ) -> Iterator[AuditEntry]:
        """Yield what was done, the latest first, as far as it concerns the token's brands and runs."""
        caller.require("audit")
        moments = [None if text is None else read_past(text, now) for text in (since, until)]
        entries = self._client.audit(since=moments[0], until=moments[1], who=who, act=act)
        return islice((entry for entry in entries if self._concerns(caller.token, entry)), most)

    def _concerns(self, token: Token, entry: AuditEntry) -> bool:
        if token.sees_everything:
            return True
        if entry.run:
            return self._visibility.sees_whole(token, entry.run)
        return token.may_use(entry.brand) if entry.brand else entry.who == token.name

    def _scope(self, caller: Caller, run: str | None, brand: str | None) -> str | None:
        """Check that an act on a run, a brand, or with neither on everything is allowed; returns the run's stored name.

        Raises:
            Refusal: it is not.
            UnknownRunError: the token sees no run of that name.
        """
        if run is not None:
            caller.require("control")
            return self._visibility.whole_run(caller.token, run)
        caller.require("operate")
        if brand is None:
            caller.require_everything()
        elif not caller.token.may_use(brand) or not caller.token.sees_all_runs:
            detail = f"token {caller.token.name} is not for brand {brand} in every run"
            raise Refusal("brand-not-allowed", detail)
        return None


def end_of(until: str | None, lasting: str | None, now: datetime) -> timedelta | datetime | None:
    """Return when something ends that a request says; a moment in it must name its time zone.

    Raises:
        Refusal, InputError: it cannot be read.
    """
    end = read_end(until, lasting, now)
    if until is not None and not _ZONE.search(until):
        raise Refusal("invalid", "`until` must name its time zone, as 2026-11-30T06:00:00+08:00 does")
    return end
