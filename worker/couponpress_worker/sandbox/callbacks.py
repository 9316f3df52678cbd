"""Builds the callback of a task, with the configured faults.

It chooses when, how often and with which signature a callback is sent. `courier` delivers it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from couponpress_worker.sandbox import notices
from couponpress_worker.sandbox.certificates import Certificates
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
    """Sends the callbacks of tasks when their pictures are made.

    Attributes:
        counts: how often each fault happened: `lost`, `doubled`, `late`, `early` and `stale`.
    """

    def __init__(
        self,
        carrier: Carrier,
        dice: Dice,
        apiv3_key: bytes,
        clock: Callable[[], float],
        certificates: Certificates | None = None,
        picture: notices.NoticeKind = notices.PICTURE,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._certificates = certificates or Certificates(apiv3_key, clock)
        self._picture = picture
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
        if self._dice.hits(faults.early_callbacks, "early", task.task_id):
            self.counts["early"] += 1
            self._say_processing(task, behaviour())
        if self._dice.hits(faults.lost_callbacks, "lost", task.task_id):
            self.counts["lost"] += 1
            return
        if self._dice.hits(faults.late_callbacks, "late", task.task_id):
            self.counts["late"] += 1
            seconds += faults.late_seconds

        def due() -> None:
            now = behaviour()
            if now.notify_url is not None:
                self._send(now.notify_url, task.task_id, self._picture, content(task), now)
                if self._dice.hits(now.faults.stale_callbacks, "stale", task.task_id):
                    self.counts["stale"] += 1
                    self._say_processing(task, now)

        self._carrier.after(seconds, due)

    def _say_processing(self, task: Task, behaviour: Behaviour) -> None:
        if behaviour.notify_url is not None:
            content = task.result_at(task.made_us - 1, "")
            self._carrier.send(self._delivery(behaviour.notify_url, self._picture, content, behaviour))

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
            self._carrier.send(dataclasses.replace(delivery, probe=False))

    def _delivery(
        self, url: str, kind: notices.NoticeKind, content: Mapping[str, Any], behaviour: Behaviour
    ) -> Delivery:
        notice = notices.write(kind, content, apiv3_key=self._apiv3_key, now=self._clock())
        signing = self._certificates.signing(behaviour.certificates)
        return Delivery(url, notice, behaviour.callback_repeats, behaviour.callback_interval_seconds, signing=signing)
