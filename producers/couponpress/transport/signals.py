"""Takes the signals that end a service, TERM and INT, and gives them back."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Call `handler` for TERM and INT until the block ends; for the main thread."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
