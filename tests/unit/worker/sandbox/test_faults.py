import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from couponpress.errors import InputError
from couponpress_worker.sandbox.faults import REQUEST_FAULTS, Dice, Faults


def test_without_faults_nothing_happens():
    assert not Faults().hit_requests
    assert Faults().of_request(0.0) is None


def test_shares_add_up_and_at_most_one_hits_a_request():
    faults = Faults(errors=10, silence=5, probe_answers=85)
    assert faults.hit_requests
    assert [faults.of_request(roll) for roll in (0, 9.99, 10, 14.99, 15, 99.99)] == [
        "errors",
        "errors",
        "silence",
        "silence",
        "probe_answers",
        "probe_answers",
    ]
    assert Faults(errors=10).of_request(10) is None


@given(st.sampled_from(REQUEST_FAULTS), st.floats(0, 99.999))
def test_a_share_of_100_hits_every_request(kind, roll):
    assert Faults(**{kind: 100}).of_request(roll) == kind


@pytest.mark.parametrize("values", [{"errors": -1}, {"errors": 101}, {"errors": 60, "html": 41}, {"nonsense": 1}])
def test_impossible_shares_are_refused(values):
    with pytest.raises(ValidationError):
        Faults(**values)


def test_words_of_a_command_line():
    assert Faults.parse(["errors=2.5", "slow_ms=100", "slow=1"]) == Faults(errors=2.5, slow=1, slow_ms=100)


@pytest.mark.parametrize("word", ["errors", "nonsense=1", "=1"])
def test_a_word_that_is_no_fault_names_the_faults(word):
    with pytest.raises(InputError, match="probe_callbacks"):
        Faults.parse([word])


@pytest.mark.parametrize(("word", "name"), [("errors=101", "errors"), ("slow=x", "slow")])
def test_a_wrong_number_names_its_fault(word, name):
    with pytest.raises(InputError, match=name):
        Faults.parse([word])


def test_rolls_depend_on_the_seed_the_question_and_the_thing_alone():
    rolls = [Dice(7).roll("fail", n) for n in range(2000)]
    again = Dice(7)
    assert [again.roll("fail", n) for n in reversed(range(2000))] == rolls[::-1]
    assert Dice(8).roll("fail", 1) != rolls[1] != Dice(7).roll("lost", 1)
    assert all(0 <= roll < 100 for roll in rolls)
    assert 400 < sum(roll < 25 for roll in rolls) < 600


def test_hits():
    assert not Dice(1).hits(0, "fail", "x")
    assert Dice(1).hits(100, "fail", "x")
