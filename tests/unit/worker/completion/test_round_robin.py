"""Runs one after the other, each in its own order."""

from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.completion.round_robin import in_turns


@given(st.dictionaries(st.text(), st.lists(st.integers())))
def test_every_item_comes_once_and_in_its_runs_order(of_run):
    tagged = {run: [(run, number) for number in range(len(items))] for run, items in of_run.items()}
    found = list(in_turns(tagged))
    assert len(found) == sum(map(len, of_run.values()))
    for run, items in tagged.items():
        assert [item for item in found if item[0] == run] == items


@given(st.dictionaries(st.text(), st.lists(st.integers(), min_size=1), min_size=1))
def test_no_run_waits_for_more_than_one_item_of_each_other(of_run):
    found = list(in_turns({run: [run] * len(items) for run, items in of_run.items()}))
    assert set(found[: len(of_run)]) == of_run.keys()
