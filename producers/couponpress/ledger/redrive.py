"""Sends ended specs again, those with the outcome and code that a person asks for.

Same task_id, same bytes; the tries start anew and the old reason counts no more. Never touches a spec that succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast, get_args

import redis

from couponpress.errors import InputError
from couponpress.keys import Keys, lane_of
from couponpress.language import gettext, joined
from couponpress.ledger.progress import CANCELLED_WORDS
from couponpress.ledger.scripts import ALLOW_OOM, script
from couponpress.outcome import LETTERS, State

RedrivenOutcome = Literal["rejected", "failed", "expired", "cancelled"]
#: What goes again when no outcome is asked for: the platform most likely keeps a failed task_id failed.
UNASKED: tuple[RedrivenOutcome, ...] = ("rejected", "expired", "cancelled")
#: What the platform accepted before, so that its callback may not come a second time.
KNOWN_TO_PLATFORM: tuple[RedrivenOutcome, ...] = ("failed", "expired")
#: How many chunks one round trip sends again: some milliseconds of Redis.
REDRIVE_BATCH = 50


class RedriveLedger:
    """The redriving side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # A full server takes it as well: it deletes more than it writes.
        self._redrive = client.register_script(ALLOW_OOM + script("redrive"))

    def redrive(
        self, number: str, outcome: RedrivenOutcome | None, code: str | None
    ) -> Iterator[tuple[int, list[str]]]:
        """Let a run's ended specs wait again, those of an outcome (None: `UNASKED`) and of a code (None: any).

        Yields, step by step, how many specs go again and which chunks are to be published. May be broken off and
        repeated: what waits again is not touched again.

        Raises:
            InputError: specs of that outcome are not sent again.
        """
        outcomes = UNASKED if outcome is None else (outcome,)
        if not set(outcomes) <= set(get_args(RedrivenOutcome)):
            raise InputError(
                gettext("specs are sent again that ended as %(outcomes)s, not %(outcome)s.")
                % {"outcomes": joined(get_args(RedrivenOutcome), ", "), "outcome": outcome}
            )
        letters = "".join(LETTERS[State(one)] for one in outcomes)
        keys = self._keys
        names = [keys.run(number), keys.reasons(number), keys.open(lane_of(number)), keys.finished, keys.dead_letters]
        names += [keys.counts, keys.waiting_since(lane_of(number))]
        chunks = int(cast(bytes | None, self._client.hget(keys.run(number), "chunks")) or 0)
        for first in range(1, chunks + 1, REDRIVE_BATCH):
            ids = [f"{number}.{sequence}" for sequence in range(first, min(first + REDRIVE_BATCH, chunks + 1))]
            with self._client.pipeline(transaction=False) as pipeline:
                for chunk_id in ids:
                    values = [chunk_id, number, letters, code or "", CANCELLED_WORDS[0], ""]
                    of_chunk = [keys.history(chunk_id), keys.flows(lane_of(number))]
                    self._redrive([keys.chunk(chunk_id), *names, *of_chunk], values, client=pipeline)
                replies = cast(list[tuple[int, int]], pipeline.execute())
            to_publish = [chunk_id for chunk_id, (_, publish) in zip(ids, replies, strict=True) if publish]
            yield sum(specs for specs, _ in replies), to_publish
