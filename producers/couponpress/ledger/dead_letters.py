"""The dead letters: chunks that kill workers, and chunks and messages that cannot be read.

A dead letter is taken out of the work, so that it stops nothing else. The waiting specs of such a chunk end as
`expired` with DEAD_LETTER_CODE: the run can finish, and a redrive tries the specs again. A message is only a hint, so
no spec is lost with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import redis

from couponpress.keys import Keys, run_of
from couponpress.ledger.audit import Act, AuditLog
from couponpress.ledger.scripts import ALLOW_OOM, script

#: A chunk becomes a dead letter when so many leases were lost in a row and no waiting spec got an answer in between.
LOST_LEASES = 3
DEAD_LETTER_CODE = "DEAD_LETTER"
RECORD_LOST = (
    "its record is lost, and with it up to 100 specs; submit the same catalog again under the same run name, "
    "which stores again what is missing"
)
#: How many messages are kept, and how much of each.
MESSAGES_KEPT = 100
MESSAGE_SHOWN = 500
MESSAGES_TTL_SECONDS = 7 * 86400
#: How many are read when they are shown.
MESSAGES_READ = 10


@dataclass(frozen=True, slots=True)
class DeadLetterChunk:
    """A chunk that was moved to the dead letters.

    Attributes:
        chunk_id: which one.
        run: the run's number in the ledger; its name where it is told to people.
        reason: why, in words.
        specs: how many specs ended for it.
        since: when, seconds since 1970.
    """

    chunk_id: str
    run: str
    reason: str
    specs: int
    since: float

    def stored(self) -> str:
        """Return it as it is stored under its chunk id."""
        return json.dumps({"reason": self.reason, "specs": self.specs, "since": self.since}, ensure_ascii=False)

    @classmethod
    def read(cls, chunk_id: str, run: str, text: bytes) -> Self:
        """Read it as it is stored."""
        told = json.loads(text)
        return cls(chunk_id, run, told["reason"], told["specs"], told["since"])


@dataclass(frozen=True, slots=True)
class DeadLetterMessage:
    """A queue message that was not a hint; `text` is its beginning, with unprintable bytes escaped."""

    queue: str
    reason: str
    text: str
    since: float


def killed_its_workers(lost_by: str) -> str:
    """Return the reason of a chunk whose leases were lost too often."""
    return (
        f"{LOST_LEASES} workers in a row ended or stood still with it in hand and without an answer for any of its "
        f"specs, the last one {lost_by}; see that worker's log"
    )


def note_message(client: redis.Redis, keys: Keys, queue: str, reason: str, message: bytes) -> None:
    """Store a message that is not a hint; only the latest MESSAGES_KEPT are kept."""
    text = message[:MESSAGE_SHOWN].decode(errors="backslashreplace")
    client.xadd(
        keys.dead_letter_messages,
        {"queue": queue, "reason": reason, "text": text},
        maxlen=MESSAGES_KEPT,
        approximate=False,
    )
    client.expire(keys.dead_letter_messages, MESSAGES_TTL_SECONDS)


class DeadLetterLedger:
    """Reads and deletes the dead letters, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # A full server takes it as well: it deletes more than it writes.
        self._delete = client.register_script(ALLOW_OOM + script("delete_dead_letters"))

    def delete(self, chunk_ids: Sequence[str], audit: AuditLog, note: Act, *, messages: bool) -> tuple[int, int]:
        """Delete these chunks from the dead letters, and with `messages` every message; returns how many of each.

        The specs of such a chunk ended when it became a dead letter, and stay as they are.
        """
        names, values = audit.arguments(note)
        first = [self._keys.dead_letters, self._keys.dead_letter_messages]
        told = self._delete([*first, *names], [json.dumps(list(chunk_ids)), "1" if messages else "", *values])
        return cast(tuple[int, int], tuple(cast(list[int], told)))

    def chunks(self) -> list[DeadLetterChunk]:
        """Return the dead-letter chunks, the latest first, with their runs' names."""
        found = []
        for member, text in cast(dict[bytes, bytes], self._client.hgetall(self._keys.dead_letters)).items():
            chunk_id = member.decode()
            name = cast(bytes | None, self._client.hget(self._keys.run(run_of(chunk_id)), "name"))
            found.append(DeadLetterChunk.read(chunk_id, name.decode() if name else "(forgotten)", text))
        return sorted(found, key=lambda one: -one.since)

    def messages_kept(self) -> int:
        """Return how many messages are kept."""
        return self._client.xlen(self._keys.dead_letter_messages)

    def messages(self) -> tuple[int, list[DeadLetterMessage]]:
        """Return how many messages became dead letters in the last week or more, and the latest MESSAGES_READ."""
        key = self._keys.dead_letter_messages
        entries = cast(list[Any], self._client.xrevrange(key, count=MESSAGES_READ))
        if not entries:
            return 0, []
        told = self._client.xinfo_stream(key)
        latest = [
            DeadLetterMessage(
                queue=fields[b"queue"].decode(),
                reason=fields[b"reason"].decode(),
                text=fields[b"text"].decode(),
                since=int(moment.partition(b"-")[0]) / 1000,
            )
            for moment, fields in entries
        ]
        return int(told.get("entries-added") or told["length"]), latest
