"""Acts on all specs that match a filter, through the gateway: frozen and counted first, then done in the background.

A selection belongs to the token that made it and lives in this process: it is gone after an hour, or when the gateway
stops, which also stops its act. What was done by then stays done, and the same filter again finds the rest. One act is
counted or done at a time, because each of them is bounded for the sake of the fleet.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from couponpress.client import Client
from couponpress.errors import CouponpressError
from couponpress.gateway.control import Caller
from couponpress.gateway.problems import Refusal
from couponpress.gateway.visibility import Visibility
from couponpress.ledger.chosen import BulkAct, Chosen
from couponpress.ledger.selection import Selection

log = logging.getLogger(__name__)

#: So long a selection is kept, and so many are.
KEPT_SECONDS = 3600.0
MOST_KEPT = 50
#: How many runs are named with their counts.
NAMED_RUNS = 20

SelectionState = Literal["counting", "counted", "acting", "done", "stopped", "failed"]


class _StoppedError(Exception):
    """Somebody stopped it."""


@dataclass(slots=True)
class Held:
    """One selection, while it is kept."""

    selection_id: str
    token: str
    act: BulkAct
    selection: Selection
    made_at: float
    state: SelectionState = "counting"
    chosen: Chosen | None = None
    counted: int = 0
    done: int = 0
    trouble: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def shown(self) -> dict[str, Any]:
        """Return what its token is told of it."""
        runs = dict(self.chosen.runs.most_common(NAMED_RUNS)) if self.chosen else {}
        told = {"id": self.selection_id, "act": self.act, "selection": str(self.selection), "state": self.state}
        return told | {"specs": self.counted, "done": self.done, "runs": runs, "trouble": self.trouble}


class Selections:
    """The selections of this gateway; for several threads."""

    def __init__(self, client: Client, visibility: Visibility) -> None:
        self._client = client
        self._visibility = visibility
        self._worker = ThreadPoolExecutor(1, "selections")
        self._lock = threading.Lock()
        self._kept: dict[str, Held] = {}

    def close(self) -> None:
        """Stop what is under way, after the step in hand."""
        with self._lock:
            kept = list(self._kept.values())
        for one in kept:
            one.stop.set()
        self._worker.shutdown()

    def make(self, caller: Caller, act: BulkAct, selection: Selection) -> dict[str, Any]:
        """Begin to count what matches.

        Raises:
            Refusal: the filter could reach specs that the token is not for, or too many selections are kept.
            UnknownRunError: the token sees no run of that name.
        """
        caller.require("operate")
        one = Held(secrets.token_hex(8), caller.token.name, act, self._narrowed(caller, selection), time.monotonic())
        with self._lock:
            now = time.monotonic()
            old = [key for key, kept in self._kept.items() if now - kept.made_at > KEPT_SECONDS]
            for key in old:
                self._kept.pop(key).stop.set()
            if len(self._kept) >= MOST_KEPT:
                raise Refusal("busy", f"{MOST_KEPT} selections are kept already", retry_after_seconds=60)
            self._kept[one.selection_id] = one
        self._worker.submit(self._work, one, lambda: self._count(one))
        return one.shown()

    def show(self, caller: Caller, selection_id: str) -> dict[str, Any]:
        """Return how far it is.

        Raises:
            Refusal: the token has no such selection.
        """
        return self._own(caller, selection_id).shown()

    def act(self, caller: Caller, selection_id: str, why: str) -> dict[str, Any]:
        """Begin to do it to exactly what was counted.

        Raises:
            Refusal: the token has no such selection, or it is not counted, or was done.
        """
        caller.require("operate")
        one = self._own(caller, selection_id)
        with self._lock:
            if one.state != "counted" or one.chosen is None:
                raise Refusal("conflict", f"the selection is {one.state}; only one that is counted can be acted on")
            one.state, chosen = "acting", one.chosen
        client = self._client.acting_as(caller.actor)
        self._worker.submit(self._work, one, lambda: self._do(one, client, chosen, why))
        return one.shown()

    def stop(self, caller: Caller, selection_id: str) -> dict[str, Any]:
        """Stop it after the step in hand.

        Raises:
            Refusal: the token has no such selection.
        """
        one = self._own(caller, selection_id)
        one.stop.set()
        return one.shown()

    def _own(self, caller: Caller, selection_id: str) -> Held:
        with self._lock:
            one = self._kept.get(selection_id)
        if one is None or one.token != caller.token.name:
            raise Refusal("no-such-selection", "your token has no such selection in this gateway")
        return one

    def _narrowed(self, caller: Caller, selection: Selection) -> Selection:
        """Return the filter with the run's stored name, if all that it can match is the token's."""
        token = caller.token
        if selection.brand is not None and not token.may_use(selection.brand):
            raise Refusal("brand-not-allowed", f"token {token.name} is not for brand {selection.brand}")
        if selection.run is not None:
            see = self._visibility.whole_run if selection.brand is None else self._visibility.run
            return selection.within(see(token, selection.run))
        if not token.sees_all_runs or (selection.brand is None and token.brands is not None):
            raise Refusal("brand-not-allowed", f"token {token.name} must name a run or a brand of its own here")
        return selection

    def _count(self, one: Held) -> None:
        def tell(specs: int) -> None:
            one.counted = specs
            if one.stop.is_set():
                raise _StoppedError

        tell(0)
        one.chosen = self._client.choose(one.act, one.selection, on_progress=tell)
        one.counted, one.state = one.chosen.specs, "counted"

    def _do(self, one: Held, client: Client, chosen: Chosen, why: str) -> None:
        def tell(specs: int) -> None:
            one.done = specs
            if one.stop.is_set():
                raise _StoppedError

        tell(0)
        one.done = client.act_on(chosen, why=why, on_progress=tell)
        one.state = "done"

    def _work(self, one: Held, act: Callable[[], None]) -> None:
        try:
            act()
        except _StoppedError:
            one.state = "stopped"
        except CouponpressError as error:
            one.state, one.trouble = "failed", str(error)
        except Exception:
            log.exception("an act on a selection failed")
            one.state, one.trouble = "failed", "the gateway's log says more"
