"""What the platform accepted: every task once, by its serial, and how it stands at a moment. Pure.

When a serial comes a second time, the same bytes are the same task, and other bytes are a conflict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from couponpress.spec import PART_OF_TYPE

TaskState = Literal["PROCESSING", "SUCCESS", "FAIL"]
Meaning = Literal["new", "doubled", "conflict"]


@dataclass(slots=True)
class Task:
    """One accepted task.

    Attributes:
        task_id: the partner's serial.
        brand_id: the brand.
        kind: the image_generation_type.
        body: the request, byte for byte.
        made_us: when its picture is made, on the monotonic clock, microseconds.
        fails: whether it ends as FAIL instead.
        authorization: hash of the header that brought it last.
    """

    task_id: str
    brand_id: str
    kind: str
    body: bytes
    made_us: int
    fails: bool
    authorization: int = 0

    def state_at(self, now_us: int) -> TaskState:
        """Return how the task stands."""
        if now_us < self.made_us:
            return "PROCESSING"
        return "FAIL" if self.fails else "SUCCESS"

    def result_at(self, now_us: int, image_url: str) -> dict[str, Any]:
        """Return what a query answers and a callback carries; the picture's address only when there is one."""
        state = self.state_at(now_us)
        result: dict[str, Any] = {
            "brand_id": self.brand_id,
            "task_id": self.task_id,
            "image_generation_type": self.kind,
            "task_state": state,
        }
        if state == "SUCCESS":
            result[f"{PART_OF_TYPE[self.kind]}_result"] = {"image_url": image_url}
        return result


class Tasks:
    """Every task that was accepted, by its serial: unique for the partner, whatever the brand.

    Attributes:
        replayed: repeats that carried the very Authorization of the time before: one that was not made anew.
    """

    def __init__(self) -> None:
        self.replayed = 0
        self._tasks: dict[str, Task] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def find(self, task_id: str) -> Task | None:
        """Return a task, if it was accepted."""
        return self._tasks.get(task_id)

    def meaning(self, task_id: str, body: bytes, authorization: int) -> Meaning:
        """Say what a request means: a new task, the same again, or another one under a used serial."""
        task = self._tasks.get(task_id)
        if task is None:
            return "new"
        if task.body != body:
            return "conflict"
        if task.authorization == authorization:
            self.replayed += 1
        task.authorization = authorization
        return "doubled"

    def add(self, task: Task) -> None:
        """Keep a new task."""
        self._tasks[task.task_id] = task
