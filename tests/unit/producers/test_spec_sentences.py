"""Every state and event of a spec in words."""

from itertools import product
from typing import get_args

import pytest

from couponpress.language import speaking
from couponpress.ledger.history import EventBy, EventName, SpecEvent
from couponpress.outcome import State
from couponpress.spec_sentences import event_sentence, state_name

SOURCES = [one for part in get_args(EventBy) for one in (get_args(part) or [part])]


def test_states_have_names_of_their_own():
    for language in ("en", "zh_CN"):
        with speaking(language):
            assert len({state_name(state) for state in State}) == len(State)


@pytest.mark.parametrize(("by", "event"), list(product(SOURCES, get_args(EventName))))
def test_an_event_is_told_in_both_languages(by, event):
    told = event_sentence(SpecEvent(0.0, event, by))
    with speaking("zh_CN"):
        chinese = event_sentence(SpecEvent(0.0, event, by))
    assert told
    if (by, event) in {("submit", "accepted"), ("callback", "succeeded"), ("query", "asked"), ("person", "redriven")}:
        assert not chinese.isascii()
