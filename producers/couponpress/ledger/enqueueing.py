"""Opens a run, enqueues its chunks, and seals or discards an upload.

An upload is all or nothing: its chunks are stored at once (staged) but only released for submitting when the
producer seals it. A producer that dies in between leaves a run that says `uploading`; the same rows again find
their chunks stored, and the seal releases them. `enqueue_open` is the other way in, for single specs, and
`enqueue_each` for several that are none of each other's business.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, cast

import redis
import redis.exceptions as redis_errors

from couponpress.errors import ConflictError, DamagedChunkError, InputError
from couponpress.keys import Keys, Lane, brand_scope, lane_of, run_of, run_scope
from couponpress.language import gettext, quoted
from couponpress.ledger.batches import positions
from couponpress.ledger.chunks import Identified, digests, digests_of_rows, pack, unpack
from couponpress.ledger.lost_records import digests_in_index
from couponpress.ledger.scripts import ALLOW_OOM, script
from couponpress.ledger.trace_context import stored_traces

#: An upload counts as dead when it has stored no chunk for so long. Then another upload may continue with its run.
UPLOAD_LOCK_SECONDS = 10
#: How many chunks one call of seal releases: some milliseconds of Redis.
SEAL_BATCH = 500


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The result of one call: the chunk that was stored, if any, and how many specs were new or known already."""

    chunk_id: str | None
    new: int
    known: int


@dataclass(frozen=True, slots=True)
class EnqueuedSpec:
    """What became of one spec among several.

    Attributes:
        task_id: its serial, its own or the one that was made for it.
        row_id: its row's id, its own or the one that was made for it.
        known_in: the run in which its task_id was known before; None when the spec is new and stored now.
        same: whether the body known there is the same; if not, nothing was stored for this spec.
    """

    task_id: str
    row_id: str
    known_in: str | None = None
    same: bool = True


class PackedChunk(NamedTuple):
    """A chunk of an upload, ready to be stored.

    Attributes:
        specs: its specs.
        distinct: how many they are, each counted once.
        arguments: the names and the values that `enqueue.lua` takes.
    """

    specs: Sequence[Identified]
    distinct: int
    arguments: tuple[list[str], list[str | int | bytes]]


class LockReply(StrEnum):
    """What `lock_upload.lua` answers."""

    LOCKED = "locked"
    BUSY = "busy"
    NO_RUN = "no run"


class DiscardReply(StrEnum):
    """What `discard.lua` answers."""

    REMOVED = "removed"
    NOT_LAST = "not last"
    TAKEN_OVER = "taken over"


class UploadLedger:
    """The producer's side of the ledger, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # A full server lets uploads be finished or discarded, but no new ones begin.
        self._open_run = client.register_script(script("open_run"))
        self._enqueue = client.register_script(script("enqueue"))
        self._seal = client.register_script(ALLOW_OOM + script("seal"))
        self._discard = client.register_script(ALLOW_OOM + script("discard"))
        self._lock_upload = client.register_script(ALLOW_OOM + script("lock_upload"))
        self._drop_run = client.register_script(ALLOW_OOM + script("drop_run"))

    def open_run(self, name: str, lane: Lane) -> str:
        """Return the number of the run of that name, made if need be.

        Raises:
            InputError: the run exists in the other lane.
        """
        reply = self._open_run([self._keys.run_numbers, self._keys.runs], [name, lane, self._keys.run("")])
        number = bytes(cast(bytes, reply)).decode()
        if lane_of(number) != lane:
            raise InputError(
                gettext("run %(name)s exists in lane %(lane)s; use that lane, or another run name.")
                % {"name": quoted(name), "lane": lane_of(number)}
            )
        return number

    def lock_upload(self, number: str, on_wait: Callable[[], None] | None = None) -> str | None:
        """Return a token that makes this producer the only one that uploads into the run; None when the run is gone.

        Waits for another producer's upload to end or to have been silent for UPLOAD_LOCK_SECONDS, at most twice as
        long; `on_wait` is called once before waiting. A token stays good, however slow its producer is, until another
        producer locks the run.

        Raises:
            InputError: another producer is still uploading into this run.
        """
        token = secrets.token_hex(8)
        deadline = time.monotonic() + 2 * UPLOAD_LOCK_SECONDS
        names = [self._keys.run(number), self._keys.upload_lock(number)]
        while (reply := _lock_reply(self._lock_upload(names, [token, UPLOAD_LOCK_SECONDS]))) is LockReply.BUSY:
            if time.monotonic() > deadline:
                raise InputError(
                    gettext("another producer is uploading into this run; wait for it, or use another run name.")
                )
            if on_wait is not None:
                on_wait()
                on_wait = None
            time.sleep(0.2)
        return token if reply is LockReply.LOCKED else None

    def enqueue_staged(self, number: str, token: str, specs: Sequence[Identified]) -> Enqueued:
        """Store up to 100 specs of an upload. See `_store`.

        Raises:
            InputError: the upload was taken over by another producer; nothing was stored.
        """
        stored = self._store(number, token, specs)
        if stored is None:
            raise InputError(gettext("another producer took over the upload into this run; nothing more was stored."))
        return stored

    def packed(self, number: str, token: str, chunks: Iterable[Sequence[Identified]]) -> list[PackedChunk]:
        """Return chunks of an upload as `enqueue_batch` stores them; speaks to nobody.

        Raises:
            ConflictError: a task_id stands twice in a chunk, with different bodies.
        """
        return [
            PackedChunk(specs, len(distinct), self._arguments(number, token, distinct))
            for specs in chunks
            for distinct in [list(_distinct(specs))]
        ]

    def enqueue_batch(self, number: str, token: str, chunks: Sequence[PackedChunk]) -> tuple[int, int]:
        """Store chunks of an upload in one round trip; returns how many specs were new and how many were known.

        Raises:
            ConflictError, InputError: as of `enqueue_staged`; other chunks may be stored.
        """
        with self._client.pipeline(transaction=False) as pipeline:
            for _, _, (names, values) in chunks:
                pipeline.evalsha(self._enqueue.sha, len(names), *names, *values)
            replies = pipeline.execute(raise_on_error=False)
        new = known = 0
        for (specs, distinct, _), reply in zip(chunks, replies, strict=True):
            if isinstance(reply, Exception) and not isinstance(reply, redis_errors.NoScriptError):
                raise reply
            if isinstance(reply, Exception) or _told(reply)[0] is None:
                # The script was not there yet, or some specs are known: once more, by itself.
                stored = self.enqueue_staged(number, token, specs)
                new, known = new + stored.new, known + stored.known
            else:
                new, known = new + distinct, known + len(specs) - distinct
        return new, known

    def enqueue_open(self, number: str, specs: Sequence[Identified]) -> Enqueued | None:
        """Store up to 100 specs, free to be submitted at once; None when the run is gone. See `_store`."""
        return self._store(number, "", specs)

    def enqueue_each(self, number: str, specs: Sequence[Identified]) -> tuple[list[str], list[EnqueuedSpec]] | None:
        """Store up to 100 specs that have nothing to do with one another, free to be submitted at once.

        Returns the chunks that were made, and for each spec whether it was new; None when the run is gone.
        """
        chunk_ids: list[str] = []
        found: dict[int, EnqueuedSpec] = {}
        while len(found) < len(specs):
            # A spec that is given twice is found in the ledger one round later.
            first_of = {specs[at].task_id: at for at in reversed(range(len(specs))) if at not in found}
            new = sorted(first_of.values())
            while new:
                chunk_id, known = self._call_enqueue(number, "", [specs[at] for at in new])
                if chunk_id is not None:
                    chunk_ids.append(chunk_id)
                    found |= {at: EnqueuedSpec(specs[at].task_id, specs[at].row.row_id) for at in new}
                    break
                if not known:
                    return None
                for position, same, place in known:
                    spec = specs[new[position]]
                    found[new[position]] = EnqueuedSpec(spec.task_id, spec.row.row_id, self._run_name(place), same)
                new = [at for at in new if at not in found]
        return chunk_ids, [found[at] for at in range(len(specs))]

    def _store(self, number: str, token: str, specs: Sequence[Identified]) -> Enqueued | None:
        """Store the specs that are not known yet, as one chunk; None when the run takes none of them.

        Raises:
            ConflictError: a task_id is known with another body, in the ledger or among these; nothing was stored.
        """
        new = list(_distinct(specs))
        while new:
            chunk_id, known = self._call_enqueue(number, token, new)
            if chunk_id is not None:
                return Enqueued(chunk_id, len(new), len(specs) - len(new))
            if not known:
                return None
            for position, same, place in known:
                if not same:
                    raise ConflictError(new[position].task_id, self._run_name(place))
            positions = {position for position, _, _ in known}
            new = [spec for position, spec in enumerate(new) if position not in positions]
        return Enqueued(None, 0, len(specs))

    def _call_enqueue(
        self, number: str, token: str, specs: Sequence[Identified]
    ) -> tuple[str | None, list[tuple[int, bool, str]]]:
        return _told(self._enqueue(*self._arguments(number, token, specs)))

    def _arguments(
        self, number: str, token: str, specs: Sequence[Identified]
    ) -> tuple[list[str], list[str | int | bytes]]:
        """Return the names and the values that `enqueue.lua` takes."""
        keys = self._keys
        names = [keys.run(number), keys.open(lane_of(number)), keys.staged(number), keys.finished]
        names += [keys.upload_lock(number), keys.counts, keys.waiting_since(lane_of(number)), keys.brands(number)]
        names += [keys.flows(lane_of(number))]
        packed = pack([spec.row for spec in specs])
        values: list[str | int | bytes] = [number, len(specs), packed, token, keys.chunk(""), keys.index]
        values += [UPLOAD_LOCK_SECONDS, digests(specs), stored_traces([spec.trace for spec in specs])]
        brands = sorted({spec.brand_id for spec in specs})
        values += [brand_scope(brands[0]) if len(brands) == 1 and brands[0] else "", positions(specs), *brands]
        return names, values

    def server(self) -> str:
        """Return which server answers. It changes after a restart or a failover, which may lose what was stored."""
        return cast(dict[str, str], self._client.info("server"))["run_id"]

    def seal(self, number: str, token: str) -> Iterator[list[str]]:
        """Release every staged chunk of the run; yields the ids of those released, in batches.

        Raises:
            InputError: the upload was taken over by another producer, which will seal it.
        """
        keys = self._keys
        while True:
            released = self._seal(
                [keys.run(number), keys.open(lane_of(number)), keys.staged(number), keys.finished]
                + [keys.upload_lock(number), keys.counts, keys.waiting_since(lane_of(number))]
                + [keys.flows(lane_of(number))],
                [number, SEAL_BATCH, keys.chunk(""), token, UPLOAD_LOCK_SECONDS],
            )
            if released is None:
                raise InputError(gettext("another producer took over the upload into this run, and will finish it."))
            if not released:
                break
            yield [chunk_id.decode() for chunk_id in cast(list[bytes], released)]
        self.unlock_upload(number, token)

    def discard(self, number: str, token: str) -> int:
        """Remove every staged chunk of the run; returns how many chunks were removed."""
        keys, discarded = self._keys, 0
        while last := cast(bytes | None, self._client.lindex(keys.staged(number), -1)):
            chunk_id = last.decode()
            told = self._discard(
                [keys.run(number), keys.staged(number), keys.chunk(chunk_id), keys.upload_lock(number)],
                [chunk_id, token, keys.index, self._digests(chunk_id), UPLOAD_LOCK_SECONDS],
            )
            reply = DiscardReply(cast(bytes, told).decode())
            if reply is DiscardReply.TAKEN_OVER:
                break
            discarded += reply is DiscardReply.REMOVED
        self.unlock_upload(number, token)
        self.drop_if_empty(number)
        return discarded

    def _digests(self, chunk_id: str) -> bytes:
        try:
            return digests_of_rows(
                unpack(cast(bytes | None, self._client.hget(self._keys.chunk(chunk_id), "z")) or b"")
            )
        except (DamagedChunkError, ValueError, KeyError):
            return digests_in_index(self._client, self._keys, chunk_id)

    def take_over_upload(self, number: str) -> str | None:
        """Return a token that makes this process the only one that uploads into the run, whoever did; None: no run.

        Another producer that is still uploading is told so with its next chunk.
        """
        token = secrets.token_hex(8)
        names = [self._keys.run(number), self._keys.upload_lock(number)]
        with self._client.pipeline() as pipeline:
            pipeline.delete(self._keys.upload_lock(number))
            self._lock_upload(names, [token, UPLOAD_LOCK_SECONDS], pipeline)
            _, told = pipeline.execute()
        return token if _lock_reply(told) is LockReply.LOCKED else None

    def unlock_upload(self, number: str, token: str) -> None:
        """Let others upload into the run, if this producer still has its lock."""
        lock = self._keys.upload_lock(number)
        if self._client.get(lock) == token.encode():
            self._client.delete(lock)

    def drop_if_empty(self, number: str) -> None:
        """Delete a run into which nothing was ever enqueued, so that a refused upload leaves nothing behind."""
        keys = self._keys
        names = [keys.run(number), keys.run_numbers, keys.runs, keys.upload_lock(number), keys.holds]
        names += [keys.brands(number)]
        self._drop_run(names, [number, run_scope(number)])

    def _run_name(self, place: str) -> str:
        name = cast(bytes | None, self._client.hget(self._keys.run(run_of(place)), "name"))
        return name.decode() if name else "(forgotten)"


def _told(reply: object) -> tuple[str | None, list[tuple[int, bool, str]]]:
    """Return the chunk's id, or else which specs are known, whether with the same body, and where."""
    status, *rest = cast(list[object], reply)
    if status == 1:
        return cast(bytes, rest[0]).decode(), []
    known = cast(list[tuple[int, int, bytes]], rest)
    return None, [(position, bool(same), place.decode()) for position, same, place in known]


def _distinct(specs: Sequence[Identified]) -> Iterator[Identified]:
    """Leave out specs that are given twice in one call. The same task_id with another body is a conflict."""
    if len({spec.task_id for spec in specs}) == len(specs):
        yield from specs
        return
    seen: dict[str, Identified] = {}
    for spec in specs:
        first = seen.setdefault(spec.task_id, spec)
        if first is spec:
            yield spec
        elif first.row.body != spec.row.body:
            raise ConflictError(spec.task_id, "", (first.row.row_id, spec.row.row_id))


def _lock_reply(told: object) -> LockReply:
    return LockReply(cast(bytes, told).decode())
