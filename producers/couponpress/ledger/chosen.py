"""Specs that a filter chose at one moment, and what is done to exactly these: pause, resume, cancel or redrive them.

Choosing reads the chunks in small batches and changes nothing. What was chosen is kept as positions in chunks, so specs
that match later are not touched, and a spec that has moved on since is left alone. An act goes in bounded steps with a
pause after each, so that the fleet's own calls of Redis are not held up. Both may be interrupted and repeated.

A paused spec leaves those that wait to be sent, so no worker finds it, and it keeps its run open. Holds know nothing of
it: it waits again once it is resumed in the same way, or when the end comes that its pause was given.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

import redis

from couponpress.errors import InputError
from couponpress.keys import Keys, lane_of, run_of
from couponpress.language import gettext
from couponpress.ledger.moves import Move, transitions_call
from couponpress.ledger.progress import CANCELLED_WORDS, ReadingLedger
from couponpress.ledger.redrive import UNASKED, RedrivenOutcome
from couponpress.ledger.scripts import ALLOW_OOM, script
from couponpress.ledger.selection import Selection
from couponpress.outcome import LETTERS, State

BulkAct = Literal["pause", "resume", "cancel", "redrive"]
#: The states that an act changes when the filter names none, and those that it can change at all.
DEFAULTS: dict[BulkAct, frozenset[State]] = {
    "pause": frozenset({State.WAITING, State.RETRYING}),
    "resume": frozenset({State.PAUSED}),
    "cancel": frozenset({State.WAITING, State.RETRYING, State.LOOKING, State.PAUSED}),
    "redrive": frozenset(map(State, UNASKED)),
}
ALLOWED: dict[BulkAct, frozenset[State]] = DEFAULTS | {"redrive": frozenset(map(State, get_args(RedrivenOutcome)))}

#: How many chunks are read in one round trip, and how many one step acts on: some milliseconds of Redis.
CHOOSE_BATCH = 50
ACT_BATCH = 5
#: The pause after a step: at most some 10,000 specs a second.
PAUSE_SECONDS = 0.05


def check_ends(act: BulkAct) -> None:
    """Check that an act is one that ends by itself.

    Raises:
        InputError: it is not.
    """
    if act != "pause":
        raise InputError(gettext("only a pause ends by itself, not %(act)s.") % {"act": act})


@dataclass(slots=True)
class Chosen:
    """What a filter matched at one moment.

    Attributes:
        act: what it is for.
        selection: the filter.
        places: the matching positions of each chunk.
        runs: how many specs of each run match, by its name.
    """

    act: BulkAct
    selection: Selection
    places: dict[str, list[int]] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)

    @property
    def specs(self) -> int:
        """How many specs match."""
        return self.runs.total()


class ChoosingLedger:
    """Chooses specs and acts on them, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._reading = ReadingLedger(client, keys)
        # A full server takes them all: what is cancelled makes room, and the others write next to nothing.
        guarded = ALLOW_OOM + script("unless_leased") + script("transitions")
        self._transitions = client.register_script(guarded)
        self._redrive = client.register_script(ALLOW_OOM + script("redrive"))

    def choose(self, act: BulkAct, selection: Selection) -> Iterator[Chosen]:
        """Find what matches now; yields the same object again and again as it grows, so that progress can be shown.

        Raises:
            InputError: the act cannot change specs of a state that the filter names.
            UnknownRunError: there is no run of the name that it names.
        """
        if wrong := selection.states - ALLOWED[act]:
            possible = ", ".join(sorted(ALLOWED[act]))
            raise InputError(
                gettext("%(act)s changes no spec that is %(state)s, only those that are %(possible)s.")
                % {"act": act, "state": min(wrong), "possible": possible}
            )
        states = selection.states or DEFAULTS[act]
        chosen = Chosen(act, selection)
        yield chosen
        numbers = self._reading.run_numbers() if selection.run is None else [self._reading.number_of(selection.run)]
        for number in numbers:
            if selection.lane in {None, lane_of(number)}:
                for _ in self._choose_in(number, states, chosen):
                    yield chosen

    def _choose_in(self, number: str, states: frozenset[State], chosen: Chosen) -> Iterator[None]:
        record = cast(
            list[bytes | None],
            self._client.hmget(self._keys.run(number), ["name", "chunks", *(state.value for state in states)]),
        )
        name, chunks, *counts = record
        if name is None or not any(int(count or 0) for count in counts):
            return
        staged = {one.decode() for one in cast(list[bytes], self._client.lrange(self._keys.staged(number), 0, -1))}
        fields, selection = chosen.selection.fields(), chosen.selection
        for first in range(1, int(chunks or 0) + 1, CHOOSE_BATCH):
            last = min(first + CHOOSE_BATCH, int(chunks or 0) + 1)
            ids = [one for sequence in range(first, last) if (one := f"{number}.{sequence}") not in staged]
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.time()
                for chunk_id in ids:
                    pipeline.hmget(self._keys.chunk(chunk_id), fields)
                (seconds, _), *found = pipeline.execute()
            for chunk_id, values in zip(ids, found, strict=True):
                chunk = {key: value for key, value in zip(fields, values, strict=True) if value is not None}
                if positions := selection.positions(chunk, states, seconds):
                    chosen.places[chunk_id] = positions
                    chosen.runs[name.decode()] += len(positions)
            yield

    def act(self, chosen: Chosen, until: float | None = None) -> Iterator[tuple[int, list[str]]]:
        """Do what was chosen, step by step; yields how many specs each step changed and which chunks to publish.

        A chunk that a process has in hand is come back to until its lease has ended; what was sent by then is left
        alone. `until` is when a pause ends by itself, seconds since 1970 on Redis's clock; None: when it is resumed.
        """
        until_ms = 0 if until is None or chosen.act != "pause" else round(until * 1000)
        todo = list(chosen.places)
        while todo:
            in_hand: list[str] = []
            for first in range(0, len(todo), ACT_BATCH):
                batch = todo[first : first + ACT_BATCH]
                if chosen.act == "redrive":
                    yield self._send_again(batch, chosen)
                else:
                    taken, specs, to_publish = self._move(batch, chosen, chosen.act, until_ms)
                    in_hand += taken
                    yield specs, to_publish
                time.sleep(PAUSE_SECONDS)
            todo = in_hand

    def _move(
        self, chunk_ids: list[str], chosen: Chosen, act: Literal["pause", "resume", "cancel"], until_ms: int
    ) -> tuple[list[str], int, list[str]]:
        """Move what was chosen of these chunks; returns those in hand, how many specs, and the chunks to publish."""
        with self._client.pipeline(transaction=False) as pipeline:
            for chunk_id in chunk_ids:
                moves = [Move(position, act, until_ms=until_ms) for position in chosen.places[chunk_id]]
                names, values = transitions_call(self._keys, chunk_id, moves, by="person")
                self._transitions(names, values, pipeline)
            replies = cast(list[list[int]], pipeline.execute())
        taken = [chunk_id for chunk_id, reply in zip(chunk_ids, replies, strict=True) if reply == [-2]]
        moved = {one: sum(reply) for one, reply in zip(chunk_ids, replies, strict=True) if reply != [-2]}
        to_publish = [chunk_id for chunk_id, specs in moved.items() if specs and act == "resume"]
        return taken, sum(moved.values()), to_publish

    def _send_again(self, chunk_ids: list[str], chosen: Chosen) -> tuple[int, list[str]]:
        keys = self._keys
        letters = "".join(LETTERS[state] for state in chosen.selection.states or DEFAULTS["redrive"])
        with self._client.pipeline(transaction=False) as pipeline:
            for chunk_id in chunk_ids:
                number = run_of(chunk_id)
                names = [keys.chunk(chunk_id), keys.run(number), keys.reasons(number), keys.open(lane_of(number))]
                names += [keys.finished, keys.dead_letters, keys.counts, keys.waiting_since(lane_of(number))]
                names += [keys.history(chunk_id), keys.flows(lane_of(number))]
                places = f" {' '.join(map(str, chosen.places[chunk_id]))} "
                values = [chunk_id, number, letters, chosen.selection.code or "", CANCELLED_WORDS[0], places]
                self._redrive(names, values, client=pipeline)
            replies = cast(list[tuple[int, int]], pipeline.execute())
        to_publish = [chunk_id for chunk_id, (_, publish) in zip(chunk_ids, replies, strict=True) if publish]
        return sum(specs for specs, _ in replies), to_publish
