"""Whose turn it is, pure: a long run must not keep a short one waiting until it is through."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

Run = TypeVar("Run", bound=Hashable)
Item = TypeVar("Item")


def in_turns(of_run: Mapping[Run, Iterable[Item]]) -> Iterator[Item]:
    """Yield one item of each run, then the next of each, and so on; within a run the order stays.

    >>> list(in_turns({"long": [1, 2, 3], "short": [9]}))
    [1, 9, 2, 3]
    """
    waiting = deque(iter(items) for items in of_run.values())
    while waiting:
        items = waiting.popleft()
        for item in items:
            yield item
            waiting.append(items)
            break
