"""Every name in Redis, and every Celery queue and task name: no other module builds one.

Every key is scoped by partner, so that partners can share a server. "Forgotten" below means: deleted by
`recovery` once the run has been finished for RESULT_TTL seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Lane = Literal["urgent", "bulk"]
LANES: tuple[Lane, ...] = ("urgent", "bulk")

#: The Celery task that submits a chunk; its one argument is the chunk's id.
SUBMIT_TASK = "couponpress.submit_chunk"

#: How many index hashes a partner's task_ids are spread over. With it, two million specs stay within
#: 512 entries a hash, which Redis stores in one compact block (hash-max-listpack-entries).
INDEX_BUCKETS = 4096


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one partner."""

    mchid: str

    @property
    def prefix(self) -> str:
        """What every key of this partner begins with."""
        return f"couponpress:{self.mchid}:"

    def queue(self, lane: str) -> str:
        """LIST (Celery's): hints that chunks of a lane wait. TTL: none, emptied by the workers."""
        return f"{self.prefix}queue:{lane}"

    @property
    def queue_again(self) -> str:
        """LIST (Celery's): hints for chunks that were already in hand: due retries, hand-ons, expired leases."""
        return f"{self.prefix}queue:again"

    @property
    def queues(self) -> tuple[str, ...]:
        """Every queue of this partner, in the order in which a worker empties them."""
        return (self.queue("urgent"), self.queue_again, self.queue("bulk"))

    @property
    def runs(self) -> str:
        """ZSET: run number -> when it was created, ms. Forgotten with the run."""
        return f"{self.prefix}runs"

    @property
    def run_numbers(self) -> str:
        """HASH: run name -> run number, and `#` -> the last number given. Forgotten with the run."""
        return f"{self.prefix}run-numbers"

    def run(self, number: str) -> str:
        """HASH: a run's name, lane, counts and moments. Forgotten with the run."""
        return f"{self.prefix}run:{number}"

    def reasons(self, number: str) -> str:
        """HASH: `outcome code` -> how many specs of the run ended so. Forgotten with the run."""
        return f"{self.prefix}reasons:{number}"

    def staged(self, number: str) -> str:
        """LIST: chunks of an upload that is not finished. TTL: none, emptied by seal or discard."""
        return f"{self.prefix}staged:{number}"

    def chunk(self, chunk_id: str) -> str:
        """HASH: up to 100 specs, the truth about them. Forgotten with the run.

        Fields: `v` record version, `lane`, `z` compressed row ids and bodies, `s` a state letter per spec, `t` tries
        per spec (a character, "0" + n), `owner` who leases it, and `0`..`99` the record of each ended spec.
        """
        return f"{self.prefix}chunk:{chunk_id}"

    def open(self, lane: str) -> str:
        """ZSET: chunk id -> when its lease runs out, ms, or 0 while nobody leases it. Members leave on closing."""
        return f"{self.prefix}open:{lane}"

    @property
    def retries(self) -> str:
        """ZSET: `chunk id/position` -> when the spec may be sent again, ms. Members leave when due."""
        return f"{self.prefix}retries"

    @property
    def looks(self) -> str:
        """ZSET: `chunk id/position` -> when the spec is to be queried, ms. Members leave when answered."""
        return f"{self.prefix}looks"

    @property
    def awaiting(self) -> str:
        """ZSET: chunk id -> when one of its specs was last accepted, ms; only chunks with accepted specs."""
        return f"{self.prefix}awaiting"

    @property
    def finished(self) -> str:
        """ZSET: run number -> when its last spec ended, ms. Forgotten with the run."""
        return f"{self.prefix}finished"

    @property
    def index(self) -> str:
        """Prefix of HASHes `…index:000` to `…index:fff`: digest of a task_id -> digest of its body and its place.

        Entries are forgotten with their run. See `index_entry`.
        """
        return f"{self.prefix}index:"

    @property
    def holds(self) -> str:
        """HASH: scope (`partner`, `run:N`, `brand:ID`) -> the reason in JSON. TTL: none, deleted by resume."""
        return f"{self.prefix}holds"

    @property
    def events(self) -> str:
        """HASH: kind of callback -> how many arrived. TTL: none."""
        return f"{self.prefix}events"

    @property
    def leader(self) -> str:
        """STRING: which process recovers and queries for all. TTL: seconds, renewed while it lives."""
        return f"{self.prefix}leader"

    def bucket(self, name: str) -> str:
        """HASH (the limiter's): the state of one token bucket. TTL: a day after its last use."""
        return f"{self.prefix}bucket:{name}"


def index_entry(task_id: str) -> bytes:
    """Return the 10 bytes under which a task_id is indexed; their first 12 bits choose the hash.

    80 bits: among ten million task_ids the chance of one collision is below 1 in 10^10.
    """
    return hashlib.sha256(task_id.encode()).digest()[:10]
