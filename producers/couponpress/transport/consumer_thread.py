"""One thread that consumes items in their order, beside the thread that makes them.

Few items wait between the two, so memory stays bounded: who makes items faster than they are consumed waits. The first
error of the consumer ends the work, and is raised where the items are made. When making them ends with an error, what
was made before is consumed all the same; with Ctrl-C, the item in hand is the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

#: So many items wait at most.
MOST_WAITING: Final = 4

T = TypeVar("T")


class ConsumerThread(Generic[T]):
    """Consumes what is put, for the length of a block; the end of the block waits for the last item."""

    def __init__(self, consume: Callable[[T], object], most_waiting: int = MOST_WAITING) -> None:
        """Prepare to call `consume` with each item."""
        self._consume = consume
        #: None ends the thread.
        self._waiting: Queue[tuple[T] | None] = Queue(most_waiting)
        self._error: BaseException | None = None
        self._stopped = False
        # A second Ctrl-C, while the last item is waited for, may end the process without the thread.
        self._thread = Thread(target=copy_context().run, args=(self._run,), name="consumer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped = error is not None and not isinstance(error, Exception)
        self._waiting.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Hand an item over; waits while too many wait already.

        Raises:
            BaseException: what consuming an earlier item raised.
        """
        if self._error is not None:
            raise self._error
        self._waiting.put((item,))

    def _run(self) -> None:
        # After an error what waits is taken too, so that nobody who puts waits for ever.
        while (found := self._waiting.get()) is not None:
            if self._error is None and not self._stopped:
                try:
                    self._consume(found[0])
                except BaseException as error:  # noqa: BLE001 - raised where the items are made
                    self._error = error
