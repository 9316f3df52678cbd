"""Which callback a task gets, and what goes wrong with it on request.

Decides when, how often and with what signature a task is announced. Refuses to know how a callback travels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from couponpress_worker.sandbox import notices
from couponpress_worker.sandbox.courier import Delivery
from couponpress_worker.sandbox.faults import Dice
from couponpress_worker.sandbox.options import Behaviour
from couponpress_worker.sandbox.tasks import Task


class Carrier(Protocol):
    """What carries callbacks; `courier.Courier` in the served process."""

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in `seconds`."""

    def send(self, delivery: Delivery) -> None:
        """Send as soon as possible."""


class Callbacks:
    """Announces tasks when their pictures are made.

    Attributes:
        counts: `lost`, `doubled` and `late`: how often each was brought about.
    """

    def __init__(self, carrier: Carrier, dice: Dice, apiv3_key: bytes, clock: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self._carrier = carrier
        self._dice = dice
        self._apiv3_key = apiv3_key
        self._clock = clock

    def announce(
        self,
        task: Task,
        seconds: float,
        behaviour: Callable[[], Behaviour],
        content: Callable[[Task], Mapping[str, Any]],
    ) -> None:
        """Send the task's result in `seconds`; `behaviour` and `content` are asked then, not now."""
        faults = behaviour().faults
        if self._dice.hits(faults.lost_callbacks, "lost", task.task_id):
            self.counts["lost"] += 1
            return
        if self._dice.hits(faults.late_callbacks, "late", task.task_id):
            self.counts["late"] += 1
            seconds += faults.late_seconds

        def due() -> None:
            now = behaviour()
            if now.notify_url is not None:
                self._send(now.notify_url, task.task_id, notices.PICTURE, content(task), now)

        self._carrier.after(seconds, due)

    def echo(self, url: str, content: Mapping[str, Any], behaviour: Behaviour) -> None:
        """Send the test notice at once."""
        self._carrier.send(self._delivery(url, notices.ECHO, content, behaviour))

    def _send(
        self, url: str, task_id: str, kind: notices.NoticeKind, content: Mapping[str, Any], behaviour: Behaviour
    ) -> None:
        faults = behaviour.faults
        delivery = self._delivery(url, kind, content, behaviour)
        delivery.probe = self._dice.hits(faults.probe_callbacks, "probe", task_id)
        self._carrier.send(delivery)
        if self._dice.hits(faults.doubled_callbacks, "doubled", task_id):
            self.counts["doubled"] += 1
            self._carrier.send(
                Delivery(url, delivery.notice, behaviour.callback_repeats, behaviour.callback_interval_seconds)
            )

    def _delivery(
        self, url: str, kind: notices.NoticeKind, content: Mapping[str, Any], behaviour: Behaviour
    ) -> Delivery:
        notice = notices.write(kind, content, apiv3_key=self._apiv3_key, now=self._clock())
        return Delivery(url, notice, behaviour.callback_repeats, behaviour.callback_interval_seconds)
