"""What the platform has taken nothing of yet goes a little at a time, and no faster in many chunks than in one."""

import asyncio

import pytest

from couponpress_worker.safety.slow_start import BRAND_AT_ONCE, ENOUGH, PARTNER_AT_ONCE, RUN_AT_ONCE, Trial
from couponpress_worker.wechatpay.judgement import Accepted, Hold, QueryFirst, Rejected, Retry, Throttled
from tests.builders import run_fast

RUN = "b1"
ONE_BRAND = [(position, "1") for position in range(100)]
MANY_BRANDS = [(position, str(position)) for position in range(100)]


def proven(*, brand="other", run=RUN):
    """A trial of a process to which the platform gave a good answer."""
    trial = Trial()
    trial.answered(run, brand, Accepted())
    return trial


@pytest.mark.parametrize(
    ("trial", "run", "waiting", "positions"),
    [
        (Trial(), RUN, ONE_BRAND, [0]),
        (Trial(), RUN, MANY_BRANDS, list(range(PARTNER_AT_ONCE))),
        (proven(run="b2"), RUN, MANY_BRANDS, list(range(RUN_AT_ONCE))),
        (proven(run="b2"), RUN, ONE_BRAND, list(range(BRAND_AT_ONCE))),
        (proven(run="b2", brand="1"), RUN, ONE_BRAND, list(range(RUN_AT_ONCE))),
        (proven(), RUN, ONE_BRAND, list(range(BRAND_AT_ONCE))),
        (proven(), RUN, MANY_BRANDS, list(range(100))),
        (proven(brand="1"), RUN, ONE_BRAND, list(range(100))),
        (proven(brand="1"), RUN, [*MANY_BRANDS, *[(100 + n, "7") for n in range(9)]], [*range(102)]),
    ],
    ids=["partner", "partner, brands", "run", "run and brand", "run, known brand", "brand", "brands", "none", "mixed"],
)
def test_how_much_goes_at_once(trial, run, waiting, positions):
    assert trial.begin(run, waiting).positions == positions


def test_a_good_answer_ends_the_trial_of_partner_run_and_brand():
    for judgement in (Accepted(), QueryFirst("ALREADY_EXISTS", "known")):
        trial = Trial()
        part = trial.begin(RUN, ONE_BRAND)
        trial.answered(RUN, "1", judgement)
        trial.end(part)
        whole = trial.begin(RUN, ONE_BRAND)
        assert (len(whole.positions), whole.trying) == (100, frozenset())


@pytest.mark.parametrize("judgement", [Retry("HTTP_502", "x"), Throttled()], ids=repr)
def test_answers_that_prove_nothing_leave_everything_on_trial(judgement):
    trial = Trial()
    part = trial.begin(RUN, ONE_BRAND)
    trial.answered(RUN, "1", judgement)
    trial.end(part)
    assert trial.begin(RUN, ONE_BRAND).positions == [0]


def test_a_rejection_shows_that_the_signature_was_good_and_nothing_else():
    trial = Trial()
    part = trial.begin(RUN, MANY_BRANDS)
    trial.answered(RUN, "0", Rejected("PARAM_ERROR", "x"))
    trial.end(part)
    assert trial.begin(RUN, MANY_BRANDS).positions == list(range(RUN_AT_ONCE))


def test_a_run_that_the_canary_lets_pass_is_not_on_trial_for_ever():
    trial = Trial()
    for _ in range(ENOUGH):
        trial.answered(RUN, "1", Rejected("PARAM_ERROR", "x"))
    assert len(trial.begin(RUN, ONE_BRAND).positions) == 100


@pytest.mark.parametrize(
    ("stop", "waiting", "at_once"),
    [
        (Hold("partner", "SIGN_ERROR", "x", "y"), ONE_BRAND, PARTNER_AT_ONCE),
        (Hold("brand", "NO_AUTH", "x", "y"), ONE_BRAND, BRAND_AT_ONCE),
    ],
    ids=["partner", "brand"],
)
def test_what_was_refused_as_a_whole_is_on_trial_again(stop, waiting, at_once):
    trial = proven(brand="1")
    trial.answered(RUN, "1", stop)
    assert len(trial.begin(RUN, waiting).positions) == at_once


def test_what_a_person_released_is_on_trial_again():
    trial = proven(brand="1")
    trial.begin_anew("run:b1")
    assert len(trial.begin(RUN, ONE_BRAND).positions) == RUN_AT_ONCE


def test_while_one_chunk_tries_others_of_the_same_scope_wait():
    trial = Trial()
    part = trial.begin(RUN, ONE_BRAND)
    assert trial.begin("b2", MANY_BRANDS).positions == []  # the partner is being tried
    trial.end(part)
    assert trial.begin("b2", MANY_BRANDS).positions == list(range(PARTNER_AT_ONCE))


def test_a_brand_that_is_being_tried_keeps_only_its_own_specs_waiting():
    trial = proven()
    trial.begin(RUN, ONE_BRAND)
    assert trial.begin(RUN, [(0, "1"), (1, "2"), (2, "1"), (3, "other")]).positions == [1, 3]


def test_a_part_of_nothing_tries_nothing():
    trial = proven()
    first = trial.begin(RUN, ONE_BRAND)
    nothing = trial.begin(RUN, ONE_BRAND)
    assert (nothing.positions, nothing.trying) == ([], frozenset())
    trial.end(nothing)
    assert trial.begin(RUN, ONE_BRAND).positions == []  # the first one still tries
    trial.end(first)
    assert trial.begin(RUN, ONE_BRAND).positions == list(range(BRAND_AT_ONCE))


def test_those_who_wait_are_woken_when_a_part_ends():
    async def act():
        trial = Trial()
        part = trial.begin(RUN, ONE_BRAND)
        waiting = [asyncio.create_task(trial.a_part_ended()) for _ in range(3)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in waiting)
        trial.end(part)
        await asyncio.gather(*waiting)

    run_fast(act())
