"""The audit log: who did what to the fleet, by which way, when and why, and what was refused.

It is a stream to which entries are only added. A script that acts adds its entry itself (`note_act.lua`), so neither
is there without the other. An entry is dropped when it is older than the log is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import redis

from couponpress.keys import Keys
from couponpress.ledger.attribution import Attribution
from couponpress.ledger.scripts import ALLOW_OOM, script

#: How long entries are kept when no setting says otherwise.
KEPT_SECONDS = 400 * 86400
#: How many entries are read in one round trip.
READ_BATCH = 500

ActName = Literal[
    "pause", "resume", "cancel", "redrive", "limit", "hook", "delete-dead-letters", "schedule-start", "schedule-skip",
    "stop", "share", "denied",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """What is done, before it is.

    Attributes:
        name: the act.
        by: who does it, and why.
        run: the name of the run that it is about; empty if it is about none.
        brand: the brand that it is about; empty if it is about none.
        detail: what else there is to say, in words.
    """

    name: ActName
    by: Attribution
    run: str = ""
    brand: str = ""
    detail: str = ""

    def fields(self) -> dict[str, str]:
        """Return the fields of its entry but for the result."""
        actor = self.by.actor.stored()
        told = {"act": self.name, "run": self.run, "brand": self.brand, "detail": self.detail, "why": self.by.why}
        told |= {"door": actor["door"], "who": actor["name"], "address": actor["address"]}
        return {name: text.encode(errors="replace").decode() for name, text in told.items()}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit log.

    Attributes:
        entry_id: where it stands in the stream.
        at: when, seconds since 1970 on Redis's clock.
        act: what was done, or `denied`.
        result: `done`, `nothing` when there was nothing to do, `denied`, or how much was done.
        run: the run that it was about; with `brand` empty too, everything.
        brand: the brand.
        detail: what else there is to say.
        door: by which way.
        who: the token's name, the user or the process.
        address: where from.
        why: the reason that was given.
    """

    entry_id: str
    at: float
    act: str
    result: str
    run: str
    brand: str
    detail: str
    door: str
    who: str
    address: str
    why: str

    @property
    def shown_target(self) -> str:
        """What it was about, for people."""
        told = [f"run {self.run}"] if self.run else []
        told += [f"brand {self.brand}"] if self.brand else []
        return ", ".join(told)


class AuditLog:
    """Adds to the audit log and reads it, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys, kept_seconds: int = KEPT_SECONDS) -> None:
        self._client = client
        self._keys = keys
        self._kept_ms = kept_seconds * 1000
        self._note = client.register_script(ALLOW_OOM + script("note"))

    def arguments(self, act: Act) -> tuple[list[str], list[str | int]]:
        """Return the last names and the last values of a script that does this act."""
        return note_arguments(self._keys, act, self._kept_ms)

    def add(self, act: Act, result: str, client: redis.client.Pipeline | None = None) -> None:
        """Add an entry, in the transaction of a pipeline if one is given."""
        names, values = self.arguments(act)
        self._note(names, [result, *values], client)

    def noted(self) -> dict[ActName, int]:
        """Return how often each act was ever noted; entries that were dropped since count too."""
        stored = cast(dict[bytes, bytes], self._client.hgetall(self._keys.acts))
        return {name: int(stored.get(name.encode(), 0)) for name in get_args(ActName)}

    def entries(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        who: str | None = None,
        act: str | None = None,
        before: str | None = None,
    ) -> Iterator[AuditEntry]:
        """Yield entries, the latest first.

        Args:
            since: only those at or after this moment, seconds since 1970.
            until: only those before this moment.
            who: only those of this token, user or process.
            act: only those of this act.
            before: only those that stand before the entry with this id.
        """
        # In Redis an id without a sequence means the first of its millisecond for a start, and the last for an end.
        latest = "+" if until is None else f"({int(until * 1000)}-0"
        last = f"({before}" if before is not None else latest
        first = "-" if since is None else str(int(since * 1000))
        while True:
            found = cast(list[Any], self._client.xrevrange(self._keys.audit, last, first, READ_BATCH))
            for entry_id, fields in found:
                entry = _entry(entry_id.decode(), {name.decode(): value.decode() for name, value in fields.items()})
                late = until is not None and entry.at >= until
                if not late and who in {None, entry.who} and act in {None, entry.act}:
                    yield entry
            if len(found) < READ_BATCH:
                return
            last = f"({found[-1][0].decode()}"


def note_arguments(keys: Keys, act: Act, kept_ms: int = 0) -> tuple[list[str], list[str | int]]:
    """Return what `note_act.lua` needs at the end of a script's names and values; 0 drops no old entry."""
    return [keys.acts, keys.audit], [kept_ms, json.dumps(act.fields(), ensure_ascii=False)]


def _entry(entry_id: str, fields: dict[str, str]) -> AuditEntry:
    names = ("act", "result", "run", "brand", "detail", "door", "who", "address", "why")
    return AuditEntry(
        entry_id, int(entry_id.partition("-")[0]) / 1000, **{name: fields.get(name, "") for name in names}
    )
