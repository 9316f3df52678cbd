"""The state of one chunk between its lease and its return, and the summary that is left of it.

It only holds values; `submitter` acts on them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from couponpress.keys import brand_scope, lane_of, run_of
from couponpress.ledger.leases import Leased
from couponpress_worker.wechatpay.client import SignedRequest

#: How many chunks a process has in hand: enough for a second of requests in flight beside the limit.
CHUNKS_IN_HAND = 8


@dataclass(frozen=True, slots=True)
class Summary:
    """What one call did with a chunk; Celery keeps it as the task's result."""

    chunk_id: str
    note: str
    sent: int = 0
    judgements: dict[str, int] = dataclasses.field(default_factory=dict)
    handed_on: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON knows it."""
        return {
            "chunk": self.chunk_id,
            "note": self.note,
            "sent": self.sent,
            "judgements": self.judgements,
            "handed_on": self.handed_on,
        }


class ChunkInHand:
    """What is known of a chunk in hand; for one event loop.

    Attributes:
        rank: the chunk that was taken in hand first has the lowest, and gets the slots: it ends, while those behind it
            sign; chunks that shared the slots would all begin and end together.
        lane: the one that its run waits in.
        leased_until: until then nobody else may hold the lease, monotonic seconds.
        sure_since: how often Redis had come back when it last confirmed the lease. One that came back since may have
            forgotten it, and given it to another process.
        asked: set whenever Redis has said how the lease stands.
        hand_on_at: when the rest is to be handed on, on the event loop's clock.
        to_sign: positions of specs that still have to be sent and are not signed.
        signing: the task that signs the next few of them, if one does.
        ready: signed requests that wait for a slot, with their positions.
        in_flight: how many requests have a slot and no answer yet.
        changed: set when a request in flight ended after which there is more to send, or none is in flight any more.
        sent: how many requests were answered, or given up as unanswered.
        throttled: how many answers said "too fast".
        judgements: how often each judgement was made.
        brands: the brand of each spec.
        task_ids: the task_id of each spec.
        kept_back: positions that are not sent because their brand is held, and the scope of the hold.
    """

    def __init__(self, leased: Leased, leased_until: float, sure_since: int, hand_on_seconds: float, rank: int) -> None:
        self.rank = rank
        self.leased_until = leased_until
        self.sure_since = sure_since
        self.asked = asyncio.Event()
        self.chunk_id = leased.chunk_id
        self.run_number = run_of(leased.chunk_id)
        self.lane = lane_of(leased.chunk_id)
        self.bodies = [row.body for row in leased.rows]
        self.tries = leased.tries
        self.to_sign = deque(leased.waiting())
        self.signing: asyncio.Task[None] | None = None
        self.ready: deque[tuple[int, SignedRequest]] = deque()
        self.in_flight = 0
        self.changed = asyncio.Event()
        self.hand_on_at = asyncio.get_running_loop().time() + hand_on_seconds
        self.judgements: Counter[str] = Counter()
        self.sent = 0
        self.throttled = 0
        ids = [row.ids() for row in leased.rows]
        self.brands = [one.brand_id for one in ids]
        self.task_ids = [one.task_id for one in ids]
        self.kept_back: dict[int, str] = {}

    def keep_back(self, positions: Iterable[int], held: Callable[[str], bool]) -> list[int]:
        """Keep back those whose brand is held; returns the others."""
        free = []
        for position in positions:
            if held(self.brands[position]):
                self.kept_back[position] = brand_scope(self.brands[position])
            else:
                free.append(position)
        return free

    @property
    def urgent(self) -> bool:
        """Whether its requests go before those of bulk chunks."""
        return self.lane == "urgent"

    @property
    def over(self) -> bool:
        """Whether the rest is to be handed on."""
        return asyncio.get_running_loop().time() >= self.hand_on_at

    @property
    def lost(self) -> bool:
        """Whether another process may hold the lease by now; asked again at the last moment before each send."""
        return time.monotonic() > self.leased_until
