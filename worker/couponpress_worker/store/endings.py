"""Tells which of the moves that the ledger made gave a spec its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.moves import Move, MoveName
from couponpress.outcome import State
from couponpress_worker.events import Ended, LearnedBy, Tell

#: The moves that end a spec, as in the ledger's transitions.lua.
OUTCOME_OF: Final[Mapping[MoveName, State]] = {
    "succeed": State.SUCCEEDED,
    "fail": State.FAILED,
    "reject": State.REJECTED,
    "expire": State.EXPIRED,
    "dead_letter": State.EXPIRED,
    "cancel": State.CANCELLED,
}


def tell_endings(
    tell: Tell, moves: Mapping[str, Sequence[Move]], made: Mapping[str, Sequence[bool]], by: LearnedBy
) -> None:
    """Tell of each spec that has its outcome by one of these moves.

    Args:
        tell: hears it.
        moves: what the ledger was asked for, by chunk.
        made: what it answered: whether each move was made. One that was not changed nothing.
        by: who learned it.
    """
    for chunk_id, steps in moves.items():
        for step, done in zip(steps, made[chunk_id], strict=True):
            if done and (outcome := OUTCOME_OF.get(step.name)) is not None:
                tell(Ended(Place(chunk_id, step.position), outcome, step.code, by))
