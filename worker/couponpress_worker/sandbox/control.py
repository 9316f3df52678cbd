"""The sandbox's own pages, which the real platform does not have: statistics, arrivals, control, pictures.

They are meant for loopback: nothing here is signed or protected.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from couponpress.errors import InputError
from couponpress_worker.sandbox import pictures
from couponpress_worker.sandbox.courier import Courier
from couponpress_worker.sandbox.exchange import Answer
from couponpress_worker.sandbox.lag import Lag
from couponpress_worker.sandbox.platform import Platform
from couponpress_worker.sandbox.routes import KINDS, Kind

STATISTICS_PATH = "/sandbox/statistics"
ARRIVALS_PATH = "/sandbox/arrivals"
CALLS_PATH = "/sandbox/calls"
TASKS_PATH = "/sandbox/tasks"
CONTROL_PATH = "/sandbox/control"
RESET_PATH = "/sandbox/reset"
PICTURES_PATH = "/pictures/"


class Control:
    """Shows what a platform counted and changes how it behaves."""

    def __init__(self, platform: Platform, courier: Courier, lag: Lag) -> None:
        self._platform = platform
        self._courier = courier
        self._lag = lag

    @staticmethod
    def owns(path: str) -> bool:
        """Whether a path is one of the sandbox's own."""
        return path.startswith(("/sandbox/", PICTURES_PATH))

    async def answer(self, method: str, path: str, query: str, body: bytes) -> Answer:
        """Answer a request to one of the sandbox's own paths."""
        if method == "GET" and path.startswith(PICTURES_PATH):
            return await self._picture(path)
        pages: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", STATISTICS_PATH): lambda: _told(self.statistics()),
            ("GET", ARRIVALS_PATH): lambda: self._arrivals(dict(parse_qsl(query))),
            ("GET", CALLS_PATH): lambda: _told(self.calls()),
            ("GET", TASKS_PATH): lambda: _told(self.tasks()),
            ("GET", CONTROL_PATH): self._behaviour,
            ("POST", CONTROL_PATH): lambda: self._change(body),
            ("POST", RESET_PATH): self._forget,
        }
        page = pages.get((method, path))
        return page() if page else _told({"error": f"there is no {method} {path} here"}, 404)

    def statistics(self) -> dict[str, Any]:
        """Return everything that was counted since the start or the last reset.

        Of submits: `received` = `accepted` + `doubled` + `throttled` + `rejected` + `dropped` (before they were taken:
        by a fault, or the client left), once none is on its way. `per_second` counts arrivals in each second from
        `first_arrival` (seconds since 1970) on.
        """
        platform, courier = self._platform, self._courier
        counts = platform.counts
        submits = platform.arrivals["submit"]
        age_seconds = (platform.monotonic_us() - submits.moments_us[0]) / 1e6 if len(submits) else None
        prefix = "fault "
        return {
            **self._of_kind("submit"),
            "accepted": counts["accepted"],
            "doubled": counts["doubled"],
            "replayed": platform.tasks.replayed,
            "limit": platform.behaviour.limit,
            "first_arrival": None if age_seconds is None else platform.clock() - age_seconds,
            "per_second": submits.per_second,
            "faults": {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)},
            "callbacks": {"waiting": courier.waiting, **_all(courier.counts + platform.callbacks.counts)},
            "calls": {kind: self._of_kind(kind) for kind in KINDS if kind != "submit"},
            "lag_ms": round(self._lag.most_ms, 1),
        }

    def arrivals(self, kind: Kind = "submit", *, with_tasks: bool) -> dict[str, Any]:
        """Return the moment of every request of a kind, in seconds after the first; with tasks, ids and answers too.

        A status of 0 means: no answer, or none yet.
        """
        came = self._platform.arrivals[kind]
        told: dict[str, Any] = {"offsets": came.offsets_seconds()}
        if with_tasks:
            told |= {"task_ids": came.task_ids, "statuses": came.statuses.tolist()}
        return told

    def _arrivals(self, asked: Mapping[str, str]) -> Answer:
        kind = next((kind for kind in KINDS if kind == asked.get("kind", "submit")), None)
        if kind is None:
            return _told({"error": f"kind must be one of {', '.join(KINDS)}"}, 400)
        return _told(self.arrivals(kind, with_tasks=asked.get("tasks") == "1"))

    def calls(self) -> dict[str, Any]:
        """Return what is known of every submit, in columns, for an audit after the event; see `calls.Calls.told`.

        With it comes `late_us`: when the loop was late, so that moments may be later than the requests were.
        """
        submits = self._platform.arrivals["submit"]
        return {
            "moments_us": submits.moments_us.tolist(),
            "task_ids": submits.task_ids,
            "statuses": submits.statuses.tolist(),
            **self._platform.calls.told(),
            "late_us": list(self._lag.late_us),
        }

    def tasks(self) -> dict[str, Any]:
        """Return every task's state now, and its picture's address when there is one."""
        now_us = self._platform.monotonic_us()
        found = {task.task_id: task.state_at(now_us) for task in self._platform.tasks}
        urls = {one: self._platform.picture_url(one) for one, state in found.items() if state == "SUCCESS"}
        return {"states": found, "image_urls": urls}

    def _of_kind(self, kind: Kind) -> dict[str, int]:
        arrivals, counts = self._platform.arrivals[kind], self._platform.counts
        return {
            "received": len(arrivals),
            "throttled": counts[f"{kind} throttled"],
            "rejected": counts[f"{kind} rejected"],
            "dropped": counts[f"{kind} dropped"],
            "most_in_any_second": arrivals.most_in_any_second,
        }

    def _change(self, body: bytes) -> Answer:
        try:
            changes = json.loads(body)
        except ValueError as error:
            return _told({"error": f"the body is not JSON: {error}"}, 400)
        if not isinstance(changes, dict):
            return _told({"error": "send a JSON object with the values to change"}, 400)
        try:
            self._platform.behave(self._platform.behaviour.changed(changes))
        except InputError as error:
            return _told({"error": str(error)}, 400)
        return self._behaviour()

    def _behaviour(self) -> Answer:
        return _told(self._platform.behaviour.model_dump(mode="json"))

    def _forget(self) -> Answer:
        self._platform.forget()
        self._courier.forget()
        self._lag.most_ms = 0
        self._lag.late_us.clear()
        return _told({})

    async def _picture(self, path: str) -> Answer:
        task = self._platform.tasks.find(path.removeprefix(PICTURES_PATH).removesuffix(".png"))
        if task is None or task.state_at(self._platform.monotonic_us()) != "SUCCESS":
            return _told({"error": "there is no such picture (yet)"}, 404)
        try:
            return Answer(200, await asyncio.to_thread(pictures.draw, task.body), content_type=b"image/png")
        except ImportError:
            return _told({"error": "drawing pictures needs Pillow: pip install couponpress[demo]"}, 501)


def _all(counts: Counter[str]) -> dict[str, int]:
    names = ("sent", "failed", "given_up", "lost", "doubled", "late", "early", "stale", "probes", "probes_believed")
    return {name: counts[name] for name in names}


def _told(content: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode())
