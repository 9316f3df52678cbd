"""Cancels a run: every spec that the platform has not accepted is taken back.

The run is held first, so that from then on no chunk of it can be leased; then its chunks are gone through in bounded
steps. A chunk that is in hand is waited for: what it has in flight ends by its answer. What was accepted goes on to
completion. An interruption leaves the run held, and the same act again goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import redis

from couponpress.keys import Keys, lane_of
from couponpress.ledger.moves import Move, transitions_call
from couponpress.ledger.scripts import ALLOW_OOM, script
from couponpress.outcome import LETTERS, State

#: How many chunks one step takes up: some five milliseconds of Redis, in which no slot is given out.
CANCEL_BATCH = 5
#: How often it is looked whether chunks in hand were given back.
LOOK_EVERY_SECONDS = 0.1

_OPEN = {LETTERS[state] for state in (State.WAITING, State.RETRYING, State.LOOKING, State.PAUSED)}


class CancellingLedger:
    """The cancelling side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # A full server takes it as well: people often cancel a run to free memory.
        self._transitions = client.register_script(ALLOW_OOM + script("transitions"))
        self._cancelled = client.register_script(ALLOW_OOM + script("cancelled"))

    def cancel(self, number: str) -> Iterator[int]:
        """Cancel every spec of a held run that is waiting, retrying, looking or paused.

        Yields after each step how many specs it cancelled; 0 while chunks in hand are waited for, at most until their
        leases run out.
        """
        chunks = int(cast(bytes | None, self._client.hget(self._keys.run(number), "chunks")) or 0)
        todo = [f"{number}.{sequence}" for sequence in range(1, chunks + 1)]
        while todo:
            in_hand: list[str] = []
            for first in range(0, len(todo), CANCEL_BATCH):
                batch = todo[first : first + CANCEL_BATCH]
                taken, cancelled = self._step(batch)
                in_hand += taken
                yield cancelled
            todo = in_hand
            if todo:
                time.sleep(LOOK_EVERY_SECONDS)

    def _step(self, chunk_ids: list[str]) -> tuple[list[str], int]:
        """Cancel what is open in these chunks; returns those in hand, which are left alone, and how many specs."""
        keys = self._keys
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for chunk_id in chunk_ids:
                pipeline.hmget(keys.chunk(chunk_id), ["s", "owner"])
                pipeline.zscore(keys.open(lane_of(chunk_id)), chunk_id)
            (seconds, _), *found = pipeline.execute()
        in_hand: list[str] = []
        # A held run's chunk that nobody has in hand stays so: what was read here is still true.
        with self._client.pipeline(transaction=False) as pipeline:
            for chunk_id, (states, owner), leased_until_ms in zip(chunk_ids, found[::2], found[1::2], strict=True):
                if owner and leased_until_ms and leased_until_ms >= seconds * 1000:
                    in_hand.append(chunk_id)
                    continue
                letters = (states or b"").decode()
                moves = [Move(position, "cancel") for position, letter in enumerate(letters) if letter in _OPEN]
                if LETTERS[State.ACCEPTED] in letters:
                    self._cancelled([keys.chunk(chunk_id)], client=pipeline)
                if moves:
                    self._transitions(*transitions_call(keys, chunk_id, moves, by="person"), pipeline)
            replies = pipeline.execute()
        return in_hand, sum(sum(reply) for reply in replies if isinstance(reply, list))
