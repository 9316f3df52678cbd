"""What a catalog repeats is checked and written once: brands and offers are few, rows are many.

Decides which parts of a checked spec serve for another row, and validates what is the row's own (ids, picture) by the
contract's own types. Refuses to judge: whatever is not plainly good gets no answer here, and takes the slow way
through `TaskSpec.parse`, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

from pydantic import ConfigDict, TypeAdapter

from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import RowId, StoredPictureUrl, TaskId, TaskSpec

#: How many brands and offers are remembered before all are forgotten, so that memory stays bounded.
_REMEMBERED: Final = 10_000

#: Makes a serialized spec in two thirds of the time that its class takes.
_made: Final = tuple.__new__

_STRICT: Final = ConfigDict(strict=True)
_is_row_id: Final = TypeAdapter(RowId, config=_STRICT).validator.isinstance_python
_is_task_id: Final = TypeAdapter(TaskId, config=_STRICT).validator.isinstance_python
_is_picture: Final = TypeAdapter(StoredPictureUrl, config=_STRICT).validator.isinstance_python


class _Offer(NamedTuple):
    """The tail of the bodies of one offer; around the picture's URL if `of_picture`, else whole in `before`."""

    of_picture: bool
    before: bytes
    after: bytes
    notes: tuple[str, ...]


class Offers:
    """The brands and offers of one catalog that were found good.

    A brand decides the head of a body, an offer its tail. A caller's `key` stands for everything in a row but its
    brand, its ids and a picture's URL; equal keys must mean equal offers.
    """

    def __init__(self) -> None:
        self._heads: dict[str, bytes] = {}
        self._offers: dict[Hashable, _Offer] = {}

    def serialized(
        self, key: Hashable, brand_id: object, task_id: str | None, row_id: str | None, image_url: object
    ) -> tuple[SerializedSpec, tuple[str, ...]] | None:
        """Return a row's spec and its notes, or None when the slow way must be taken.

        The row's own values may be anything; of task_id and row_id one at least is not None.
        """
        offer = self._offers.get(key)
        if offer is None or not isinstance(brand_id, str):
            return None
        head = self._heads.get(brand_id)
        if head is None or not (row_id is None or _is_row_id(row_id)) or not (task_id is None or _is_task_id(task_id)):
            return None
        if not offer.of_picture:
            return _made(SerializedSpec, (row_id, task_id, head, offer.before)), offer.notes
        if not isinstance(image_url, str) or not _is_picture(image_url) or _is_escaped(image_url):
            return None
        return _made(
            SerializedSpec, (row_id, task_id, head, offer.before + image_url.encode() + offer.after)
        ), offer.notes

    def learn(self, key: Hashable, spec: TaskSpec, notes: tuple[str, ...]) -> SerializedSpec:
        """Remember the parts of a checked spec; returns it serialized."""
        serialized = SerializedSpec.of(spec)
        if len(self._offers) >= _REMEMBERED or len(self._heads) >= _REMEMBERED:
            self._offers.clear()
            self._heads.clear()
        self._heads[spec.brand_id] = serialized.head
        if spec.cut_out is None:
            self._offers[key] = _Offer(False, serialized.tail, b"", notes)
        elif not _is_escaped(url := spec.cut_out.image_url):
            before, _, after = serialized.tail.partition(url.encode())
            self._offers[key] = _Offer(True, before, after, notes)
        return serialized


def _is_escaped(image_url: str) -> bool:
    """Whether a valid URL stands in JSON otherwise than as it is; such a one is rare."""
    return '"' in image_url or "\\" in image_url
