"""Enqueues a JSONL stream as one run, all lines or none, in constant memory.

A stream counts only when every line of it is good, stored, and within quota. The quota and the Idempotency-Key are
checked at the stream's end, when its size and content are known; before that nothing is released.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator

from couponpress.client import Client
from couponpress.gateway.admission import KEY_REUSED, Admission
from couponpress.gateway.body import lines_of
from couponpress.gateway.problems import Refusal
from couponpress.gateway.quotas import KeyedRequest
from couponpress.gateway.rights import Token
from couponpress.gateway.writing import SPEC_LIMIT_BYTES, written_spec
from couponpress.keys import Lane
from couponpress.serialized_spec import SerializedSpec

log = logging.getLogger(__name__)

#: After this many broken lines the rest is not checked any more.
MOST_BROKEN_LINES = 20


class _AnsweredError(Exception):
    """The same stream came before under the same key; this was its answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class Streams:
    """Enqueues streams. The calls block; each stream has a thread of its own."""

    def __init__(self, client: Client, admission: Admission) -> None:
        self._client = client
        self._admission = admission

    def enqueue(self, token: Token, run: str, lane: Lane, key: str | None, pull: Callable[[], bytes]) -> bytes:
        """Enqueue what `pull` returns, piece by piece, until it returns b"". Returns the body of the answer.

        Raises:
            Refusal, InputError: nothing of it was enqueued.
            RedisUnavailableError, or redis-py's own: nothing of it is confirmed; the same stream again completes it.
        """
        self._admission.check_backlog()
        one = _Stream(self._admission, token, run, lane, key)
        try:
            receipt = self._client.enqueue_many(one.specs(pull), run=token.stored_name(run), lane=lane)
        except _AnsweredError as answered:
            return answered.answer
        except Refusal as refusal:
            log.warning("a stream into run %s was refused, nothing of it was enqueued: %s", run, refusal)
            one.give_up()
            raise
        except Exception:
            one.give_up()
            raise
        self._admission.enqueued(receipt.new)
        return one.settle(receipt.new, receipt.known)


class _Stream:
    """One stream while it is read."""

    def __init__(self, admission: Admission, token: Token, run: str, lane: Lane, key: str | None) -> None:
        self._admission = admission
        self._token = token
        self._run = run
        self._key = key
        self._digest = hashlib.sha256(f"many\0{run}\0{lane}\0".encode())
        self._meter = admission.meter(token)
        self._claimed: KeyedRequest | None = None

    def specs(self, pull: Callable[[], bytes]) -> Iterator[SerializedSpec]:
        """Yield the specs. After the last one, check whether all of them may be enqueued."""
        count, refusals = 0, list[Refusal]()
        for number, line in lines_of(pull, SPEC_LIMIT_BYTES):
            try:
                spec = written_spec(line, self._token, number)
            except Refusal as refusal:
                refusals.append(refusal)
                if len(refusals) == MOST_BROKEN_LINES:
                    break
                continue
            if not refusals:  # otherwise nothing is enqueued, and the rest is read only for its errors
                self._digest.update(b"\0".join((str(spec.row_id).encode(), str(spec.task_id).encode(), *spec[2:])))
                count += 1
                yield spec
        if refusals:
            raise _all_told(refusals)
        if not count:
            raise Refusal("invalid", "the stream holds no line")
        self._claim()
        if self._meter.take(count) < count:
            raise self._meter.used_up()

    def _claim(self) -> None:
        if self._key is None:
            return
        request = KeyedRequest(self._token.name, self._key, self._digest.digest())
        (answer,) = self._admission.claim([request])
        if answer is None:
            raise Refusal("key-reused", KEY_REUSED)
        if answer:
            raise _AnsweredError(answer)
        self._claimed = request

    def give_up(self) -> None:
        """Undo what a refused stream took: its quota and its Idempotency-Key."""
        self._meter.settle(0)
        if self._claimed is not None:
            self._admission.settle([(self._claimed, None)])

    def settle(self, new: int, known: int) -> bytes:
        """Return the answer, after giving back the quota of known specs and keeping the answer under the key."""
        self._meter.settle(new)
        answer = json.dumps({"run": self._run, "new": new, "known": known}).encode()
        if self._claimed is None:
            return answer
        (kept,) = self._admission.settle([(self._claimed, answer)])
        return kept or answer


def _all_told(refusals: list[Refusal]) -> Refusal:
    """Return one refusal for all broken lines, of the kind of the first."""
    first = refusals[0]
    more = f"; so many lines are broken: {len(refusals)}" if len(refusals) > 1 else ""
    more += " or more" if len(refusals) == MOST_BROKEN_LINES else ""
    errors = [error for refusal in refusals for error in refusal.errors]
    return Refusal(first.kind, f"{first.detail}{more}; nothing was enqueued", errors=errors)
