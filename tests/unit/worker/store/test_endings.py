"""Which moves give a spec its outcome, and which of them are told."""

import re
from typing import get_args

import pytest

from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.moves import Move, MoveName
from couponpress.ledger.scripts import script
from couponpress.outcome import OUTCOMES, STATE_OF_LETTER, State
from couponpress_worker.events import Ended
from couponpress_worker.store.endings import OUTCOME_OF, tell_endings


def test_the_outcomes_are_those_of_the_ledgers_script():
    steps = dict(re.findall(r"(\w+) *= \{'(\w?)', '\w+'\}", script("transitions")))
    assert steps.keys() == set(get_args(MoveName))
    ends = {name: STATE_OF_LETTER[letter] for name, letter in steps.items() if STATE_OF_LETTER.get(letter) in OUTCOMES}
    assert ends == dict(OUTCOME_OF)


@pytest.mark.parametrize(
    ("move", "made", "told"),
    [
        (Move(3, "succeed", image_url="u"), True, [Ended(Place("b1.1", 3), State.SUCCEEDED, "", "query")]),
        (Move(3, "expire", code="NO_ANSWER"), True, [Ended(Place("b1.1", 3), State.EXPIRED, "NO_ANSWER", "query")]),
        (Move(3, "succeed", image_url="u"), False, []),
        (Move(3, "accept"), True, []),
    ],
)
def test_an_outcome_that_was_made_is_told_and_nothing_else(move, made, told):
    heard = []
    tell_endings(heard.append, {"b1.1": [move]}, {"b1.1": [made]}, "query")
    assert heard == told
