"""Enqueues single specs that arrive together with one call of the store, and answers each.

The order is: keys, backlog, quota, then the specs, by run. A refused spec stops no other. Every step may be repeated,
because the same spec again is the same work.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from couponpress.client import Client
from couponpress.errors import InputError, RedisFullError
from couponpress.gateway.admission import KEY_REUSED, Admission
from couponpress.gateway.problems import Refusal, refusal_of, task_id_taken
from couponpress.gateway.quotas import KeyedRequest
from couponpress.gateway.rights import Token
from couponpress.keys import Lane
from couponpress.ledger.chunks import CHUNK_SIZE, identified_in
from couponpress.ledger.enqueueing import EnqueuedSpec
from couponpress.serialized_spec import SerializedSpec

#: The body of a request's answer, or its refusal.
Answer = bytes | Refusal


@dataclass(frozen=True)
class SingleSpec:
    """One request: its token, run, lane and spec, and its Idempotency-Key."""

    token: Token
    run: str
    lane: Lane
    spec: SerializedSpec
    key: str | None = None
    trace: str = ""

    @property
    def keyed(self) -> KeyedRequest | None:
        """The request as its Idempotency-Key remembers it; None without a key."""
        if self.key is None:
            return None
        row = identified_in(self.token.stored_name(self.run))(self.spec).row
        digest = hashlib.sha256(f"one\0{self.run}\0{self.lane}\0{row.row_id}\0".encode() + row.body)
        return KeyedRequest(self.token.name, self.key, digest.digest())


class SingleSpecs:
    """Enqueues many single specs with one call. The calls block; one thread at a time may make them."""

    def __init__(self, client: Client, admission: Admission) -> None:
        self._client = client
        self._admission = admission

    def enqueue(self, asked: Sequence[SingleSpec]) -> list[Answer]:
        """Enqueue the specs. Returns the body of each one's answer, or its refusal.

        Raises:
            RedisUnavailableError, or redis-py's own: nothing is confirmed to any of them.
        """
        answers: dict[int, Answer] = {}
        keyed = {at: request for at, one in enumerate(asked) if (request := one.keyed) is not None}
        for at, answer in zip(keyed, self._admission.claim(list(keyed.values())), strict=True):
            if answer is None:
                answers[at] = Refusal("key-reused", KEY_REUSED)
            elif answer:
                answers[at] = answer
        claimed = {at: request for at, request in keyed.items() if at not in answers}
        self._enqueue([at for at in range(len(asked)) if at not in answers], asked, answers)
        self._settle(claimed, answers)
        return [answers[at] for at in range(len(asked))]

    def _enqueue(self, todo: list[int], asked: Sequence[SingleSpec], answers: dict[int, Answer]) -> None:
        by_token: dict[Token, list[int]] = defaultdict(list)
        for at in todo:
            by_token[asked[at].token].append(at)
        for token, own in by_token.items():
            meter = self._admission.meter(token)
            try:
                self._admission.check_backlog()
                admitted = meter.take(len(own))
            except (Refusal, redis.OutOfMemoryError) as error:
                answers |= dict.fromkeys(own, _refused(error))
                continue
            if admitted < len(own):
                answers |= dict.fromkeys(own[admitted:], meter.used_up())
            new = self._enqueue_runs(own[:admitted], asked, answers)
            meter.settle(new)
            self._admission.enqueued(new)

    def _enqueue_runs(self, todo: list[int], asked: Sequence[SingleSpec], answers: dict[int, Answer]) -> int:
        """Enqueue one token's specs, by run and lane. Returns how many were new."""
        by_run: dict[tuple[str, Lane], list[int]] = defaultdict(list)
        for at in todo:
            by_run[asked[at].run, asked[at].lane].append(at)
        new = 0
        for (run, lane), own in by_run.items():
            stored_name = asked[own[0]].token.stored_name(run)
            for first in range(0, len(own), CHUNK_SIZE):  # a chunk is stored as a whole or not at all
                piece = own[first : first + CHUNK_SIZE]
                try:
                    enqueued = self._client.enqueue_each(
                        [asked[at].spec for at in piece],
                        run=stored_name,
                        lane=lane,
                        traces=[asked[at].trace for at in piece],
                    )
                except (InputError, RedisFullError) as error:  # the run exists in the other lane
                    answers |= dict.fromkeys(piece, _refused(error))
                    continue
                for at, one in zip(piece, enqueued, strict=True):
                    answers[at] = _answer(asked[at], one)
                    new += one.known_in is None
        return new

    def _settle(self, claimed: dict[int, KeyedRequest], answers: dict[int, Answer]) -> None:
        """Keep the answers of keyed requests; of several with one key all get the first."""
        told = [
            (request, None if isinstance(answer := answers[at], Refusal) else answer) for at, request in claimed.items()
        ]
        settled = zip(claimed, self._admission.settle(told), strict=True)
        answers |= {at: kept for at, kept in settled if kept}


def _refused(error: Exception) -> Refusal:
    """Return the refusal of what was not stored, so that its Idempotency-Key is given up.

    Raises:
        Exception: this one, if nobody foresaw it.
    """
    refusal = refusal_of(error)
    if refusal is None:
        raise error
    return refusal


def _answer(asked: SingleSpec, enqueued: EnqueuedSpec) -> Answer:
    run: str | None = asked.run
    if enqueued.known_in is not None:
        run = asked.token.shown_name(enqueued.known_in)
        if run is None or not enqueued.same:
            return task_id_taken(enqueued.task_id, run)
    known = enqueued.known_in is not None
    told = {"run": run, "task_id": enqueued.task_id, "row_id": enqueued.row_id, "known": known}
    return json.dumps(told, ensure_ascii=False).encode()
