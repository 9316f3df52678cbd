"""Groups the specs of a batch by brand before they become chunks, and puts their outcomes in order again (pure).

The fleet shares the limit between brands by leasing chunks of one brand after chunks of another, so a chunk should hold
specs of one brand. A brand with at least OWN_CHUNK specs in a batch gets chunks of its own. All others share chunks,
whose turn is their run's: else ten thousand brands with one row each would make ten thousand chunks.

Each such chunk keeps where its specs stood in the batch, so that a reader can return them in the order in which they
were enqueued.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby, islice, repeat
from operator import itemgetter
from typing import TypeVar

from couponpress.ledger.chunks import CHUNK_SIZE, Identified, Identify
from couponpress.serialized_spec import SerializedSpec

#: So many specs of one brand in a batch get chunks of their own: a quarter of a full chunk.
OWN_CHUNK = CHUNK_SIZE // 4
#: The most specs in a batch of several brands.
BATCH_SIZE = 10 * CHUNK_SIZE
_TOKEN_BYTES = 4
_PLACE = struct.Struct(">H")

Item = TypeVar("Item")
Line = TypeVar("Line")


def batches(whole: Iterable[Item], brand_of: Callable[[Item], str]) -> Iterator[list[Item]]:
    """Cut what is to be enqueued into batches, in constant memory: one chunk of one brand, or more of several."""
    rest, batch, brands = iter(whole), list[Item](), set[str]()
    while piece := list(islice(rest, CHUNK_SIZE)):
        batch += piece
        if len(brands) < 2:  # more of several need not be known
            brands.update(map(brand_of, piece))
        if len(piece) == CHUNK_SIZE and (len(brands) == 1 or len(batch) >= BATCH_SIZE):
            yield batch
            batch, brands = [], set()
    if batch:
        yield batch


def is_batch(items: Sequence[Item], brand_of: Callable[[Item], str]) -> bool:
    """Whether items make a whole batch: a chunk of one brand, or BATCH_SIZE."""
    if not items or len(items) % CHUNK_SIZE:
        return False
    return len(items) >= BATCH_SIZE or len({brand_of(item) for item in items}) == 1


def chunks_of(batch: Sequence[SerializedSpec], identified: Identify, traces: Iterable[str]) -> list[list[Identified]]:
    """Return the specs of a batch as chunks: brands in the order of their first specs, and each in its own order.

    Args:
        batch: the specs.
        identified: settles their ids.
        traces: the trace of each.
    """
    places: Iterable[bytes] = repeat(b"")
    if len({spec.head for spec in batch}) > 1:  # which differ by the brand
        token = secrets.token_bytes(_TOKEN_BYTES)
        places = [token + _PLACE.pack(at) for at in range(len(batch))]
    of_brands: dict[str, list[Identified]] = {}
    for spec, trace, at in zip(batch, traces, places, strict=False):
        one = identified(spec, trace, at)
        of_brands.setdefault(one.brand_id, []).append(one)
    large = {brand: specs for brand, specs in of_brands.items() if len(specs) >= OWN_CHUNK or len(of_brands) == 1}
    mixed = sorted((spec for brand in of_brands.keys() - large.keys() for spec in of_brands[brand]), key=_place)
    return [
        specs[first : first + CHUNK_SIZE]
        for specs in [*large.values(), mixed]
        for first in range(0, len(specs), CHUNK_SIZE)
    ]


def _place(spec: Identified) -> bytes:
    return spec.at


def positions(specs: Sequence[Identified]) -> bytes:
    """Return what a chunk's record says of where its specs stood: which batch, and 2 bytes each; empty if all did."""
    if not specs or not specs[0].at:
        return b""
    whole, step = b"".join([spec.at for spec in specs]), _TOKEN_BYTES + _PLACE.size
    places = bytearray(_PLACE.size * len(specs))
    for number in range(_PLACE.size):
        places[number :: _PLACE.size] = whole[_TOKEN_BYTES + number :: step]
    return whole[:_TOKEN_BYTES] + places


def in_order(chunks: Iterator[tuple[bytes, list[Line]]]) -> Iterator[Line]:
    """Yield the lines of chunks as they stood in their batches; each chunk with its `positions`.

    The chunks of a batch are held together until its last one is there: some dozens.
    """
    for token, batch in groupby(chunks, key=lambda chunk: chunk[0][:_TOKEN_BYTES]):
        if not token:
            for _, lines in batch:
                yield from lines
            continue
        numbered = [
            zip(struct.unpack(f">{(len(at) - _TOKEN_BYTES) // 2}H", at[_TOKEN_BYTES:]), lines, strict=False)
            for at, lines in batch
        ]
        for _, line in merge(*numbered, key=itemgetter(0)):
            yield line
