"""Remembers with which body each row of a schedule last succeeded, in 16 bytes per row.

A row is known by a digest of its id. Its body is known by a digest of everything but the task_id, which is new every
night. Fingerprints are kept in epochs: what a night looks up in the previous epoch is copied into the current one. A
row that no night looks up any more expires in Redis after one to two epochs, without any cleaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, cast

import redis

from couponpress.errors import DamagedChunkError
from couponpress.keys import Keys
from couponpress.ledger.chunks import unpack
from couponpress.ledger.progress import READ_BATCH
from couponpress.ledger.scripts import script
from couponpress.outcome import STATE_OF_LETTER, State

#: How long an epoch is; a row that no night sees is forgotten after one to two of them.
EPOCH_SECONDS: Final = 45 * 86400
#: How many rows one call records: a millisecond or two of Redis, in which no slot is given out.
BATCH: Final = 100

_BEFORE_TASK_ID = b'"task_id":"'


class RowFingerprint(NamedTuple):
    """One row of a run: the digest of its id, the fingerprint of its body, and where it is."""

    row: bytes
    body: bytes
    state: State


def row_digest(row_id: str) -> bytes:
    """Return the 8 bytes that a row goes by; two rows that share them are only ever sent too often."""
    return hashlib.sha256(row_id.encode(errors="surrogatepass")).digest()[:8]


def fingerprint_of(head: bytes, tail: bytes) -> bytes:
    """Return the 8 bytes that a body goes by, from its halves around the task_id."""
    return hashlib.sha256(head + tail).digest()[:8]


def fingerprint_of_body(body: bytes) -> bytes:
    """Return the same for a whole body.

    A quote within a text is escaped, so the first such name is the field's.
    """
    head, name, rest = body.partition(_BEFORE_TASK_ID)
    return fingerprint_of(head + name, rest[rest.index(b'"') :])


class RowFingerprintLedger:
    """The fingerprints of all schedules, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._look_up = client.register_script(script("remembered_fingerprints", "couponpress.nightly"))
        self._record = client.register_script(script("record_fingerprints", "couponpress.nightly"))

    def remembered(self, schedule: str, rows: Sequence[bytes], now: float) -> list[bytes | None]:
        """Return the fingerprint with which each row last succeeded; None for one that did not, or failed since."""
        reply = self._look_up([], [*self._epochs(schedule, now), b"".join(rows)])
        return cast(list[bytes | None], reply)

    def record(self, schedule: str, number: str, now: float) -> int:
        """Remember the rows of a run that succeeded and forget those that ended badly; returns how many ended.

        To be called when a run has ended, or at any time before; again is the same.
        """
        ended = 0
        succeeded, forgotten = bytearray(), bytearray()

        def write() -> None:
            if succeeded or forgotten:
                self._record([], [*self._epochs(schedule, now), bytes(succeeded), bytes(forgotten)])
                succeeded.clear()
                forgotten.clear()

        for one in self.of_run(number):
            if one.state is State.SUCCEEDED:
                succeeded += one.row + one.body
            elif one.state.ended:
                forgotten += one.row
            else:
                continue
            ended += 1
            if ended % BATCH == 0:
                write()
        write()
        return ended

    def of_run(self, number: str) -> Iterator[RowFingerprint]:
        """Yield every row of a run, in constant memory."""
        chunks = int(cast(bytes | None, self._client.hget(self._keys.run(number), "chunks")) or 0)
        for first in range(1, chunks + 1, READ_BATCH):
            with self._client.pipeline(transaction=False) as pipeline:
                for sequence in range(first, min(first + READ_BATCH, chunks + 1)):
                    pipeline.hmget(self._keys.chunk(f"{number}.{sequence}"), ["z", "s"])
                for packed, states in cast(list[tuple[bytes | None, bytes | None]], pipeline.execute()):
                    if packed and states:
                        yield from _of_chunk(packed, states.decode())

    def _epochs(self, schedule: str, now: float) -> list[str | int]:
        epoch = int(now // EPOCH_SECONDS)
        names = [self._keys.row_fingerprints(schedule, epoch), self._keys.row_fingerprints(schedule, epoch - 1)]
        return [*names, (epoch + 2) * EPOCH_SECONDS]


def _of_chunk(packed: bytes, states: str) -> Iterator[RowFingerprint]:
    try:
        rows = unpack(packed)
    except DamagedChunkError:  # its rows are not remembered, so they are sent again
        return
    for row, letter in zip(rows, states, strict=False):
        yield RowFingerprint(row_digest(row.row_id), fingerprint_of_body(row.body), STATE_OF_LETTER[letter])
