"""Holds: stop submitting for the partner, one run or one brand, and let it go on.

A hold lets requests in flight end and keeps everything else where it is, across restarts, until it is released or the
end that it names is there. Every process of the fleet hears of it at once. A hold whose end is there holds nothing any
more, whoever reads it; a process of the fleet then takes it away and lets its chunks go on.
"""

from __future__ import annotations

import time
from typing import Any, cast

import redis

from couponpress.keys import HELD_SCORE, LANES, PARTNER_SCOPE, Keys, brand_scope, run_scope
from couponpress.ledger.attribution import Attribution, this_user
from couponpress.ledger.audit import Act, AuditLog
from couponpress.ledger.progress import Hold
from couponpress.ledger.scripts import ALLOW_OOM, script


class HoldingLedger:
    """A person's acts on holds, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys, audit: AuditLog | None = None) -> None:
        self._keys = keys
        self._audit = audit or AuditLog(client, keys)
        # A full server takes either: the one is small and may be urgent, the other lets the fleet drain.
        self._hold = client.register_script(ALLOW_OOM + script("hold"))
        self._release = client.register_script(ALLOW_OOM + script("release"))

    def hold(
        self,
        number: str | None,
        reason: str,
        cure: str,
        *,
        brand_id: str | None = None,
        run: str = "",
        until: float | None = None,
        by: Attribution | None = None,
        note: Act | None = None,
    ) -> bool:
        """Hold one run, a brand, or with neither the partner.

        Args:
            number: the run's number.
            reason: why, in words.
            cure: what a person can do about it.
            brand_id: the brand.
            run: the run's name, for the audit log.
            until: when the hold ends by itself, seconds since 1970 on Redis's clock; None: never.
            by: who does it, and why; None: the user of this machine.
            note: what the audit log says instead of a pause, where the hold is a part of another act.

        Returns:
            False when it is held for as long already: the first reason stays.
        """
        by = by or Attribution(this_user("client"))
        scope = _scope(number, brand_id)
        hold = Hold(scope, reason, cure, time.time(), by=by.actor, why=by.why, until=until)
        detail = "" if until is None else f"until {hold.ends}"
        names, values = self._audit.arguments(note or Act("pause", by, run, brand_id or "", detail))
        return bool(self._hold([self._keys.holds, self._keys.holds_changed, *names], [scope, hold.to_json(), *values]))

    def release(
        self,
        number: str | None,
        *,
        brand_id: str | None = None,
        run: str = "",
        by: Attribution | None = None,
        note: Act | None = None,
    ) -> list[str] | None:
        """Release the hold of one run, of a brand, or with neither the partner's; arguments as of `hold`.

        Returns the chunks to publish, or None when nothing was held. What another hold keeps back as well stays where
        it is.
        """
        act = note or Act("resume", by or Attribution(this_user("client")), run, brand_id or "")
        names, values = self._audit.arguments(act)
        first = release_values(self._keys, _scope(number, brand_id), "")
        was_held, *freed = cast(list[Any], self._release([*release_names(self._keys), *names], [*first, *values]))
        return [chunk_id.decode() for chunk_id in freed] if was_held or freed else None


def _scope(number: str | None, brand_id: str | None) -> str:
    if brand_id is not None:
        return brand_scope(brand_id)
    return PARTNER_SCOPE if number is None else run_scope(number)


def release_names(keys: Keys) -> list[str]:
    """Return the names of release.lua before the audit log."""
    return [
        keys.holds,
        *(keys.open(lane) for lane in LANES),
        keys.holds_changed,
        *(keys.flows(lane) for lane in LANES),
    ]


def release_values(keys: Keys, scope: str, only: str) -> list[str | int]:
    """Return the values of release.lua before the act; `only` is `ended` for a hold that is over, else empty."""
    return [scope, HELD_SCORE, keys.chunk(""), keys.run(""), only]
