"""Keeps selections in Redis, where every gateway of the partner finds them: what matched, how far the act on it is.

A selection is kept for an hour after it was last written. The process that counts or acts writes every few seconds; a
selection of which nobody wrote for longer lost its process, and reads as failed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, cast

import redis

from couponpress.keys import Keys
from couponpress.language import gettext
from couponpress.ledger.chosen import BulkAct, Chosen
from couponpress.ledger.scripts import ALLOW_OOM, script
from couponpress.ledger.selection import Selection
from couponpress.ledger.stored import from_stored
from couponpress.outcome import State

#: So long a selection is kept, and so many are.
KEPT_SECONDS: Final = 3600
MOST_KEPT: Final = 50
#: A process that says nothing for so long while it counts or acts has ended.
LOST_SECONDS: Final = 30
#: How many runs are named with their counts.
NAMED_RUNS: Final = 20
#: Chunks that are read at a time when the places of a selection are.
PLACES_AT_ONCE: Final = 1000

SelectionState = Literal["counting", "counted", "acting", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Kept:
    """One selection, as it is stored.

    Attributes:
        selection_id: its name; nobody guesses it.
        token: the token that made it.
        act: what it is for.
        selection: the filter.
        state: how far it is.
        counted: how many specs matched, so far.
        done: how many were changed, so far.
        runs: how many of its specs each run holds, those with the most.
        trouble: why it failed.
    """

    selection_id: str
    token: str
    act: BulkAct
    selection: Selection
    state: SelectionState = "counting"
    counted: int = 0
    done: int = 0
    runs: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""

    def shown(self) -> dict[str, Any]:
        """Return what its token is told of it."""
        told = {"id": self.selection_id, "act": self.act, "selection": str(self.selection), "state": self.state}
        return told | {"specs": self.counted, "done": self.done, "runs": self.runs, "trouble": self.trouble}


class SelectionStore:
    """Keeps selections, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # A full server takes it as well: people often cancel to free memory.
        self._note = client.register_script(ALLOW_OOM + script("note_selection", "couponpress.gateway"))

    def room_left(self) -> bool:
        """Whether another selection may be kept."""
        seconds, _ = self._client.time()
        with self._client.pipeline() as pipeline:
            pipeline.zremrangebyscore(self._keys.selections, "-inf", seconds - KEPT_SECONDS)
            pipeline.zcard(self._keys.selections)
            kept: int = pipeline.execute()[1]
        return kept < MOST_KEPT

    def add(self, one: Kept) -> None:
        """Keep a new one."""
        told = {"id": one.selection_id, "token": one.token, "act": one.act, "state": one.state}
        self.note(one.selection_id, "", told | {"selection": _written(one.selection)})

    def find(self, selection_id: str) -> Kept | None:
        """Return a selection; None when there is none."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.hgetall(self._keys.selection(selection_id))
            (seconds, _), stored = pipeline.execute()
        told = {name.decode(): value.decode() for name, value in stored.items()}
        if not told:
            return None
        state, trouble = cast(SelectionState, told["state"]), told.get("trouble", "")
        if state in ("counting", "acting") and seconds - int(told["told"]) > LOST_SECONDS:
            state, trouble = "failed", gettext("the gateway that did it has ended; the same filter finds the rest")
        return Kept(
            selection_id,
            told["token"],
            cast(BulkAct, told["act"]),
            _read(told["selection"]),
            state,
            int(told.get("counted", 0)),
            int(told.get("done", 0)),
            json.loads(told.get("runs", "{}")),
            trouble,
        )

    def note(
        self,
        selection_id: str,
        expected: SelectionState | Literal[""],
        fields: Mapping[str, str | int],
        places: Mapping[str, Iterable[int]] | None = None,
    ) -> tuple[str, bool]:
        """Set fields of a selection, if its state is the expected one; returns its state before, and whether to stop.

        Args:
            selection_id: which one.
            expected: the state; empty for any.
            fields: what to set.
            places: chosen positions of chunks, to add.
        """
        names = [self._keys.selection(selection_id), self._keys.selection_places(selection_id)]
        names.append(self._keys.selections)
        shown = {chunk_id: " ".join(map(str, positions)) for chunk_id, positions in (places or {}).items()}
        values: list[str | int] = [KEPT_SECONDS, expected, json.dumps(dict(fields)), json.dumps(shown)]
        state, stop = cast(tuple[bytes, bytes], self._note(names, values))
        return state.decode(), bool(stop)

    def chosen(self, one: Kept) -> Chosen:
        """Return what a selection matched when it was counted."""
        chosen = Chosen(one.act, one.selection, runs=Counter({"": one.counted}))
        stored = self._client.hscan_iter(self._keys.selection_places(one.selection_id), count=PLACES_AT_ONCE)
        for chunk_id, positions in stored:
            chosen.places[chunk_id.decode()] = [int(position) for position in positions.split()]
        return chosen


def _written(selection: Selection) -> str:
    fields = asdict(selection) | {"states": sorted(selection.states)}
    fields["older_than"] = None if selection.older_than is None else selection.older_than.total_seconds()
    return json.dumps(fields)


def _read(text: str) -> Selection:
    fields = json.loads(text)
    fields["states"] = frozenset(map(State, fields["states"]))
    fields["older_than"] = None if fields["older_than"] is None else timedelta(seconds=fields["older_than"])
    # What it matched is kept with it, so a condition that only a newer gateway knows changes nothing here.
    return from_stored(Selection, fields)
