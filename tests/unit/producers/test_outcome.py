"""The words for where a spec is, their letters, and the sums over a run."""

from dataclasses import replace

import pytest

from couponpress.outcome import LETTERS, OUTCOMES, STATE_OF_LETTER, Outcome, RunStatus, State

STATUS = RunStatus(
    run="may",
    lane="bulk",
    total=55,
    uploading=0,
    waiting=1,
    retrying=2,
    looking=3,
    paused=10,
    accepted=4,
    succeeded=5,
    failed=6,
    rejected=7,
    expired=8,
    cancelled=9,
    throttled=100,
    created_at=1.0,
    finished_at=None,
)


def test_every_state_has_a_letter_of_its_own():
    assert set(LETTERS) == set(State)
    assert {STATE_OF_LETTER[letter] for letter in LETTERS.values()} == set(State)
    assert all(len(letter) == 1 for letter in LETTERS.values())


@pytest.mark.parametrize("state", State)
def test_exactly_the_outcomes_have_ended(state):
    assert state.ended is (state in {"succeeded", "failed", "rejected", "expired", "cancelled"})
    assert state.ended is (state in OUTCOMES)


def test_every_state_is_counted_in_a_runs_status():
    assert STATUS.total == sum(getattr(STATUS, state.value) for state in State)


def test_what_ended_and_what_ended_badly():
    assert (STATUS.ended, STATUS.ended_badly) == (35, 30)


def test_a_run_is_finished_once_its_last_spec_has_an_outcome():
    assert not STATUS.finished
    assert replace(STATUS, finished_at=0.0).finished


def test_an_outcome_without_a_picture_says_so_by_an_empty_url():
    outcome = Outcome(row_id="1", task_id="abcdef", brand_id="120344", outcome="rejected", code="PARAM_ERROR")
    assert (outcome.image_url, outcome.message, outcome.attempts) == ("", "", 0)
