"""Run webhooks in the ledger: which URL is called when a run is finished, and whether the call succeeded.

The hook lives as long as its run: a run that gets more rows is told of again when it is finished again. So a hook is
never struck off for having been told, and no order of enqueueing, finishing and telling can lose one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import redis
from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.audit import Act, AuditLog
from couponpress.ledger.progress import run_status
from couponpress.ledger.scripts import script
from couponpress.outcome import RunStatus

#: An unfinished run is looked at so often.
UNFINISHED_MS = 1_000
#: A run whose end was told is looked at so often, because it may get more rows.
TOLD_MS = 10_000
#: A process that took a hook must report the result within this time, which is longer than a POST may take.
TAKEN_MS = 30_000
#: How much of the reason for a failed call is kept, in characters.
OBJECTION_LIMIT = 200


def set_hook(client: redis.Redis, keys: Keys, number: str, url: str, note: Act, audit: AuditLog) -> None:
    """Have `url` called when a run is finished, and note it if it is new. A run that no longer exists stays so."""
    names, values = audit.arguments(note)
    client.register_script(script("set_hook"))([keys.run(number), keys.hooks, *names], [number, url, *values])


@dataclass(frozen=True, slots=True)
class DueHook:
    """A finished run that somebody waits for.

    Attributes:
        number: the run's number.
        url: whom to tell.
        finished_ms: when it was finished; tells this finish from an earlier one.
        tries: how often it was tried in vain.
        status: the run.
        figures: what its schedule found, in JSON; empty for a run of no schedule.
    """

    number: str
    url: str
    finished_ms: int
    tries: int
    status: RunStatus
    figures: str = ""


class HookLedger:
    """The fleet's side of the hooks, over an asyncio client that answers in bytes."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._keys = keys
        self._due = client.register_script(script("due_hooks"))
        self._tried = client.register_script(script("hook_tried"))

    async def due(self, limit: int) -> list[DueHook]:
        """Take up hooks of finished runs; nobody else gets them for TAKEN_MS."""
        reply = cast(
            list[Any],
            await self._due([self._keys.hooks], [limit, self._keys.run(""), UNFINISHED_MS, TOLD_MS, TAKEN_MS]),
        )
        return [
            _due_hook(number.decode(), dict(zip(flat[::2], flat[1::2], strict=True)))
            for number, flat in zip(reply[::2], reply[1::2], strict=True)
        ]

    async def told(self, hook: DueHook) -> None:
        """Note that the call succeeded."""
        await self._note(hook, str(hook.finished_ms), TOLD_MS, "")

    async def not_told(self, hook: DueHook, delay_ms: int, objection: str) -> None:
        """Note that the call failed, when to try again, and the reason, which the run's status shows."""
        await self._note(hook, "", delay_ms, objection[:OBJECTION_LIMIT])

    async def _note(self, hook: DueHook, finished_ms: str, delay_ms: int, objection: str) -> None:
        values: list[str | int] = [hook.number, finished_ms, delay_ms, objection]
        await self._tried([self._keys.run(hook.number), self._keys.hooks], values)


def _due_hook(number: str, fields: dict[bytes, bytes]) -> DueHook:
    return DueHook(
        number,
        fields[b"hook"].decode(),
        int(fields[b"finished_ms"]),
        int(fields.get(b"hook_tries", 0)),
        # The same content is sent at every try.
        replace(run_status(number, fields, hold=None), hook_trouble=None),
        fields.get(b"night", b"").decode(),
    )
