"""Acts on all specs that match a filter, through the gateway: frozen and counted first, then done in the background.

A selection belongs to the token that made it and is kept in Redis for an hour, so every gateway of the partner can tell
of it, do it and stop it. The gateway that was asked to count or to act does so in a thread of its own; one that stops
stops its act too. What was done by then stays done, and the same filter again finds the rest. A gateway counts or acts
on one selection at a time, because each of them is bounded for the sake of the fleet.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import redis

from couponpress.client import Client
from couponpress.errors import CouponpressError
from couponpress.gateway.control import Caller
from couponpress.gateway.problems import Refusal
from couponpress.gateway.selection_store import (
    MOST_KEPT,
    NAMED_RUNS,
    PLACES_AT_ONCE,
    Kept,
    SelectionState,
    SelectionStore,
)
from couponpress.gateway.visibility import Visibility
from couponpress.language import current, gettext, speaking
from couponpress.ledger.chosen import BulkAct, check_ends
from couponpress.ledger.selection import Selection
from couponpress.transport.redis_refusals import redis_unavailable

log = logging.getLogger(__name__)

#: How often what is under way is noted at most. Whoever asks learns of it then, and so does this process of a stop.
NOTE_EVERY_SECONDS = 0.5


class _StoppedError(Exception):
    """Somebody stopped it, or this gateway stops."""


class Selections:
    """The selections of this gateway; for several threads."""

    def __init__(self, client: Client, visibility: Visibility, store: SelectionStore) -> None:
        self._client = client
        self._visibility = visibility
        self._store = store
        self._worker = ThreadPoolExecutor(1, "selections")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: What this process has to do, the first of it under way: selections and their states.
        self._to_do: dict[str, SelectionState] = {}

    def close(self) -> None:
        """Stop what is under way, after the step in hand."""
        self._stopping.set()
        self._worker.shutdown()

    def make(self, caller: Caller, act: BulkAct, selection: Selection) -> dict[str, Any]:
        """Begin to count what matches.

        Raises:
            Refusal: the filter could reach specs that the token is not for, or too many selections are kept.
            UnknownRunError: the token sees no run of that name.
        """
        caller.require("operate")
        one = Kept(secrets.token_hex(8), caller.token.name, act, self._narrowed(caller, selection))
        if not self._store.room_left():
            raise Refusal("busy", f"{MOST_KEPT} selections are kept already", retry_after_seconds=60)
        self._store.add(one)
        self._begin(one.selection_id, "counting", lambda: self._count(one))
        return one.shown()

    def show(self, caller: Caller, selection_id: str) -> dict[str, Any]:
        """Return how far it is.

        Raises:
            Refusal: the token has no such selection.
        """
        return self._own(caller, selection_id).shown()

    def act(
        self, caller: Caller, selection_id: str, why: str, end: timedelta | datetime | None = None
    ) -> dict[str, Any]:
        """Begin to do it to exactly what was counted; `end` is when a pause ends by itself.

        Raises:
            Refusal: the token has no such selection, or it is not counted, or was done.
            InputError: an act other than a pause was given an end.
        """
        caller.require("operate")
        if end is None:
            self._own(caller, selection_id)
        else:
            check_ends(self._own(caller, selection_id).act)
        found, _ = self._store.note(selection_id, "counted", {"state": "acting"})
        one = self._own(caller, selection_id)
        if found != "counted":
            raise Refusal("conflict", f"the selection is {one.state}; only one that is counted can be acted on")
        client = self._client.acting_as(caller.actor)
        self._begin(selection_id, "acting", lambda: self._do(one, client, why, end))
        return one.shown()

    def stop(self, caller: Caller, selection_id: str) -> dict[str, Any]:
        """Stop it after the step in hand.

        Raises:
            Refusal: the token has no such selection.
        """
        self._own(caller, selection_id)
        self._store.note(selection_id, "", {"stop": 1})
        return self._own(caller, selection_id).shown()

    def _own(self, caller: Caller, selection_id: str) -> Kept:
        one = self._store.find(selection_id)
        if one is None or one.token != caller.token.name:
            raise Refusal("no-such-selection", "your token has no such selection; one is kept for an hour")
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

    def _count(self, one: Kept) -> None:
        tell = self._teller(one.selection_id, "counting", "counted")
        tell(0)
        chosen = self._client.choose(one.act, one.selection, on_progress=tell)
        places = list(chosen.places.items())
        for first in range(0, len(places), PLACES_AT_ONCE):
            self._store.note(one.selection_id, "counting", {}, dict(places[first : first + PLACES_AT_ONCE]))
            tell(chosen.specs)
        runs = json.dumps(dict(chosen.runs.most_common(NAMED_RUNS)))
        self._store.note(one.selection_id, "counting", {"state": "counted", "counted": chosen.specs, "runs": runs})

    def _do(self, one: Kept, client: Client, why: str, end: timedelta | datetime | None) -> None:
        tell = self._teller(one.selection_id, "acting", "done")
        tell(0)
        done = client.act_on(self._store.chosen(one), until=end, why=why, on_progress=tell)
        self._store.note(one.selection_id, "acting", {"state": "done", "done": done})

    def _teller(self, selection_id: str, state: SelectionState, field: str) -> Callable[[int], None]:
        """Return what notes progress now and then, and stops the act when it is to be stopped."""
        noted_at = float("-inf")

        def tell(specs: int) -> None:
            nonlocal noted_at
            if self._stopping.is_set():
                raise _StoppedError
            if time.monotonic() - noted_at < NOTE_EVERY_SECONDS:
                return
            noted_at = time.monotonic()
            _, stop = self._store.note(selection_id, state, {field: specs})
            if stop:
                raise _StoppedError
            with self._lock:
                waiting = [one for one in self._to_do.items() if one[0] != selection_id]
            for other, its_state in waiting:
                self._store.note(other, its_state, {})

        return tell

    def _begin(self, selection_id: str, state: SelectionState, work: Callable[[], None]) -> None:
        with self._lock:
            self._to_do[selection_id] = state
        language = current()

        def spoken() -> None:
            with speaking(language):
                self._work(selection_id, state, work)

        self._worker.submit(spoken)

    def _work(self, selection_id: str, state: SelectionState, work: Callable[[], None]) -> None:
        try:
            self._end(selection_id, state, work)
        except (CouponpressError, redis.RedisError) as error:
            log.warning("what became of an act on a selection could not be noted: %s", error)
        finally:
            with self._lock:
                del self._to_do[selection_id]

    def _end(self, selection_id: str, state: SelectionState, work: Callable[[], None]) -> None:
        try:
            work()
        except _StoppedError:
            self._store.note(selection_id, state, {"state": "stopped"})
        except (CouponpressError, redis.RedisError) as error:
            told = redis_unavailable("COUPONPRESS_REDIS_URL", error) if isinstance(error, redis.RedisError) else error
            self._store.note(selection_id, state, {"state": "failed", "trouble": str(told)})
        except Exception:
            log.exception("an act on a selection failed")
            self._store.note(
                selection_id, state, {"state": "failed", "trouble": gettext("the gateway's log says more")}
            )
