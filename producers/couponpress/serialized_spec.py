"""A serialized spec: its ids, and its body in two halves around the place of the task_id.

The halves are what `TaskSpec.body` writes, cut in two. The task_id is known only when the run is known; the rest of the
body is known long before, and is often the same for many rows. A catalog gives specs in this form, and the ledger takes
them.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from couponpress.spec import TaskSpec

#: Stands for the task_id while a body is cut. No field that comes before it can hold a blank.
_BLANK = " "


class SerializedSpec(NamedTuple):
    """A valid spec in the form that is quick to store.

    Attributes:
        row_id: the catalog's own id; None only when there is a task_id to stand in for it.
        task_id: the producer's own; None when one is to be generated from the run and the row id.
        head: the body up to the task_id.
        tail: the body from the task_id on.
    """

    row_id: str | None
    task_id: str | None
    head: bytes
    tail: bytes

    @classmethod
    def of(cls, spec: TaskSpec) -> SerializedSpec:
        """Serialize a spec."""
        row_id = spec.row_id
        if row_id is None and spec.task_id is None:
            row_id = spec.identified("").row_id
        head, _, tail = spec.model_copy(update={"task_id": _BLANK}).body().partition(_BLANK.encode())
        return cls(row_id, spec.task_id, head, tail)

    def spec(self) -> TaskSpec:
        """Read the spec back."""
        fields = json.loads(self.head + (self.task_id or _BLANK).encode() + self.tail)
        return TaskSpec.model_validate({**fields, "task_id": self.task_id, "row_id": self.row_id})

    def identified(self, run: str) -> TaskSpec:
        """Return the spec with its ids settled; see `TaskSpec.identified`."""
        return self.spec().identified(run)
