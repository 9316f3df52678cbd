"""Handles every request that enqueues specs.

It checks the caller and the request's headers, and limits how many requests are handled at a time. Single specs are
batched: those that arrive while one batch is being stored go into the next.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive

from couponpress.gateway.body import Body
from couponpress.gateway.problems import REDIS_RETRY_SECONDS, Refusal, bad_parameter
from couponpress.gateway.rights import Token
from couponpress.gateway.single import Answer, SingleSpec, SingleSpecs
from couponpress.gateway.stream import Streams
from couponpress.gateway.tokens import TokensFile
from couponpress.gateway.writing import SPEC_LIMIT_BYTES, written_spec
from couponpress.keys import Lane
from couponpress.ledger.trace_context import traceparent
from couponpress.transport.batching import Batcher

JSON, JSON_LINES = "application/json", "application/x-ndjson"

#: Single specs handled at a time: about what two seconds can store. More would only wait longer.
MOST_SINGLE = 4096
#: Streams handled at a time; each has a thread.
MOST_STREAMS = 8
#: How long a spec may take to be stored. After that the caller is told to send the same spec again.
ANSWER_SECONDS = 10.0

KEY_PATTERN = r"^[!-~]{1,200}$"


class InHand:
    """Counts the requests of one kind that are being handled, and refuses more than `most`."""

    def __init__(self, what: str, most: int, *, retry_after_seconds: int) -> None:
        self._what = what
        self._most = most
        self._retry_after_seconds = retry_after_seconds
        self._now = 0

    def __enter__(self) -> None:
        if self._now >= self._most:
            detail = f"{self._most} {self._what} are in hand already"
            raise Refusal("busy", detail, retry_after_seconds=self._retry_after_seconds)
        self._now += 1

    def __exit__(self, *_: object) -> None:
        self._now -= 1


class Ingest:
    """Enqueues what requests bring."""

    def __init__(self, tokens: TokensFile, singles: SingleSpecs, streams: Streams, *, stream_limit: int) -> None:
        self._tokens = tokens
        self._singles = singles
        self._streams = streams
        self._stream_limit = stream_limit
        self._batcher: Batcher[SingleSpec, Answer] = Batcher(self._write)
        self._writer = ThreadPoolExecutor(1, "singles")
        self._streamers = ThreadPoolExecutor(MOST_STREAMS, "streams")
        self._singles_in_hand = InHand("single specs", MOST_SINGLE, retry_after_seconds=1)
        self._streams_in_hand = InHand("streams", MOST_STREAMS, retry_after_seconds=5)

    async def close(self) -> None:
        """Wait for the requests that are being handled, then end the threads. The event loop must keep running."""
        await asyncio.to_thread(self._streamers.shutdown)
        await asyncio.to_thread(self._writer.shutdown)

    def holder(self, authorization: str | None) -> Token:
        """Return the token of a request.

        Raises:
            Refusal: it has none, or an unknown one.
        """
        scheme, _, presented = (authorization or "").partition(" ")
        token = self._tokens.tokens().holder(presented.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Refusal("no-token", "the request came without a bearer token that this gateway knows")
        return token

    async def take_one(self, token: Token, run: str, lane: Lane, headers: Headers, receive: Receive) -> Response:
        """Enqueue one spec and answer when it is stored.

        Raises:
            Refusal: it is not stored.
        """
        key = _checked(headers, JSON, SPEC_LIMIT_BYTES)
        with self._singles_in_hand:
            spec = written_spec(await Body(receive, SPEC_LIMIT_BYTES).whole(), token)
            answer = await self._stored(SingleSpec(token, run, lane, spec, key, traceparent()))
        return Response(answer, 202, media_type=JSON)

    async def _stored(self, spec: SingleSpec) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._batcher.put(spec)
        except TimeoutError:
            detail = f"no answer of the store within {ANSWER_SECONDS:g} s; send the same again"
            raise Refusal("redis-away", detail, retry_after_seconds=REDIS_RETRY_SECONDS) from None
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def take_stream(self, token: Token, run: str, lane: Lane, headers: Headers, receive: Receive) -> Response:
        """Enqueue a JSONL stream, all or none.

        Raises:
            Refusal, InputError: nothing of it is enqueued.
        """
        key = _checked(headers, JSON_LINES, self._stream_limit)
        body, loop = Body(receive, self._stream_limit), asyncio.get_running_loop()

        def pull() -> bytes:
            return asyncio.run_coroutine_threadsafe(body.next(), loop).result()

        with self._streams_in_hand:
            enqueue = self._streams.enqueue
            answer = await loop.run_in_executor(
                self._streamers, copy_context().run, enqueue, token, run, lane, key, pull
            )
        return Response(answer, 202, media_type=JSON)

    async def _write(self, batch: list[SingleSpec]) -> list[Answer]:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._singles.enqueue, batch)


def _checked(headers: Headers, media_type: str, limit: int) -> str | None:
    """Check a request's headers and return its Idempotency-Key, or None if it has none."""
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise Refusal("wrong-media-type", f"this path takes {media_type}, got {given or 'none'}")
    length = headers.get("content-length")
    if length is not None and length.isdecimal() and int(length) > limit:
        raise Refusal("too-large", f"the body may have {limit} bytes")
    key = headers.get("idempotency-key")
    if key is not None and not re.fullmatch(KEY_PATTERN, key):
        raise bad_parameter("header", "Idempotency-Key", "must be 1 to 200 printable ASCII characters without blanks")
    return key
