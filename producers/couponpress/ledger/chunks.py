"""What a chunk holds, as bytes: pure, no Redis.

The stored form, version 1: zlib over lines; the first is a JSON list of the row ids, then one request body per
line. A body is compact JSON, so it holds no line end, and it comes back byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import msgspec

from couponpress.errors import DamagedChunkError
from couponpress.keys import index_entry
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec, task_ids_of

#: The most specs a chunk holds.
CHUNK_SIZE = 100

#: How many bytes of a body's digest are stored; by them two bodies of one task_id are compared.
DIGEST_BYTES = 8

#: A copy is made in a third less time than a new digest.
_NO_BODY: Final = hashlib.sha256()

#: Makes a named tuple in two thirds of the time that its class takes.
_made: Final = tuple.__new__

#: Level 1 takes a third of level 6's time for a tenth more bytes.
_ZLIB_LEVEL = 1


#: So many heads of bodies are remembered with the brands that they name.
_HEADS: Final = 10_000
#: A brand's id holds no quote and no backslash, and what is in a text of the body has its quotes escaped.
_BRAND_ID = re.compile(rb'"brand_id":"([^"\\\\]*)"')


def brand_in(body: bytes) -> str:
    """Return the brand that a body, or a part of one, names; empty if it names none."""
    found = _BRAND_ID.search(body)
    return found[1].decode() if found else ""


#: The same for the head of a `SerializedSpec`, which names its brand; many specs have the same one.
brand_in_head: Final = lru_cache(_HEADS)(brand_in)


class BodyIds(msgspec.Struct):
    """The ids in a body; empty where it names none."""

    brand_id: str = ""
    task_id: str = ""


_read_ids: Final = msgspec.json.Decoder(BodyIds).decode


class Row(NamedTuple):
    """One spec as it is stored: the catalog's id and the exact bytes that are signed and sent."""

    row_id: str
    body: bytes

    @property
    def brand_id(self) -> str:
        """The brand, found in the bytes without reading the rest; empty in a body that holds none."""
        return brand_in(self.body)

    def body_fields(self) -> dict[str, str]:
        """Return the top-level fields of the body."""
        fields: dict[str, str] = json.loads(self.body)
        return fields

    def ids(self) -> BodyIds:
        """Return the ids that the body names, in a tenth of the time that reading all of it takes."""
        try:
            return _read_ids(self.body)
        except msgspec.MsgspecError:  # it is stricter than what wrote the body
            fields = self.body_fields()
            return BodyIds(fields.get("brand_id", ""), fields.get("task_id", ""))


class Identified(NamedTuple):
    """A spec with its ids settled, ready to be stored; `at` is where it stood in a batch, see `ledger.batches`."""

    task_id: str
    row: Row
    brand_id: str
    trace: str = ""
    at: bytes = b""

    @classmethod
    def of(cls, spec: TaskSpec, run: str) -> Identified:
        """Settle the ids of a spec in a run and write its body, once."""
        return identified_in(run)(SerializedSpec.of(spec))


class Identify(Protocol):
    """Settles the ids of a spec in a run, as `TaskSpec.identified` does."""

    def __call__(self, spec: SerializedSpec, trace: str = "", at: bytes = b"") -> Identified:
        """Return the spec; `trace` and `at` as of `Identified`."""
        ...


def identified_in(run: str) -> Identify:
    """Return what settles the ids of specs in a run."""
    task_id_of = task_ids_of(run)

    def identified(spec: SerializedSpec, trace: str = "", at: bytes = b"") -> Identified:
        row_id, task_id, head, tail = spec
        task_id = task_id or task_id_of(str(row_id))
        row = _made(Row, (row_id or task_id, head + task_id.encode() + tail))
        return _made(Identified, (task_id, row, brand_in_head(head), trace, at))

    return identified


def pack(rows: Sequence[Row]) -> bytes:
    """Return rows in their stored form."""
    row_ids = msgspec.json.encode([row[0] for row in rows])
    return zlib.compress(b"\n".join([row_ids, *[row[1] for row in rows]]), _ZLIB_LEVEL)


def unpack(stored: bytes) -> list[Row]:
    """Return the rows of a stored chunk, in their order.

    Raises:
        DamagedChunkError: the bytes are not what `pack` writes.
    """
    try:
        row_ids, *bodies = zlib.decompress(stored).split(b"\n")
        return [Row(str(row_id), body) for row_id, body in zip(json.loads(row_ids), bodies, strict=True)]
    except (zlib.error, ValueError, TypeError) as error:
        raise DamagedChunkError(f"its stored bytes cannot be unpacked ({error})") from None


def digests(specs: Sequence[Identified]) -> bytes:
    """Return 18 bytes per spec: how its task_id is indexed, then a digest of its body."""
    return b"".join([index_entry(spec[0]) + body_digest(spec[1][1]) for spec in specs])


def digests_of_rows(rows: Sequence[Row]) -> bytes:
    """Return the same bytes for rows read back from the ledger."""
    return b"".join(index_entry(row.body_fields()["task_id"]) + body_digest(row.body) for row in rows)


def body_digest(body: bytes) -> bytes:
    """Return the DIGEST_BYTES by which two bodies of one task_id are compared."""
    digest = _NO_BODY.copy()
    digest.update(body)
    return digest.digest()[:DIGEST_BYTES]
