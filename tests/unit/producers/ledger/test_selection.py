"""Which specs of a chunk a filter matches."""

import json
from datetime import timedelta

import pytest

from couponpress.errors import InputError
from couponpress.ledger.chunks import Row, pack
from couponpress.ledger.selection import Selection
from couponpress.outcome import State

ENDED = frozenset({State.REJECTED, State.EXPIRED, State.CANCELLED})
NOW = 10_000.0


def row(brand):
    return Row("id", json.dumps({"task_id": "t", "brand_id": brand}, separators=(",", ":")).encode())


def chunk():
    """Five specs: waiting, rejected twice, expired and cancelled, of two brands."""
    records = {1: ["", "NO_AUTH", ""], 2: ["", "PARAM_ERROR", ""], 3: ["", "NO_ANSWER", ""]}
    rows = pack([row(brand) for brand in "77878"])
    told = {str(at): json.dumps(record).encode() for at, record in records.items()}
    return {"s": b"wrrxc", "z": rows, "made": b"9000.5"} | told


@pytest.mark.parametrize(
    ("chosen", "positions"),
    [
        ({"run": "may"}, [1, 2, 3, 4]),
        ({"states": ("rejected",)}, [1, 2]),
        ({"states": ("rejected", "cancelled")}, [1, 2, 4]),
        ({"brand": "7"}, [1, 3]),
        ({"brand": "8", "states": ("rejected",)}, [2]),
        ({"code": "NO_AUTH"}, [1]),
        ({"code": "CANCELLED"}, [4]),
        ({"code": "OTHER"}, []),
        ({"brand": "9"}, []),
        ({"older_than": timedelta(seconds=900)}, [1, 2, 3, 4]),
        ({"older_than": timedelta(seconds=1000)}, []),
    ],
    ids=str,
)
def test_a_filter_matches_what_it_says(chosen, positions):
    assert Selection.of(**chosen).positions(chunk(), ENDED, NOW) == positions


def test_only_states_that_the_act_changes_match():
    assert Selection.of(brand="7").positions(chunk(), frozenset({State.WAITING}), NOW) == [0]


def test_a_chunk_that_is_gone_or_cannot_be_read_matches_nothing():
    assert Selection.of(brand="7").positions({}, ENDED, NOW) == []
    assert Selection.of(brand="7").positions(chunk() | {"z": b"rubbish"}, ENDED, NOW) == []


def test_an_empty_filter_is_refused():
    with pytest.raises(InputError, match="empty filter"):
        Selection.of()


@pytest.mark.parametrize("wrong", [{"states": ("done",)}, {"lane": "slow"}], ids=str)
def test_what_is_no_state_or_lane_is_refused(wrong):
    with pytest.raises(InputError, match="not"):
        Selection.of(run="may", **wrong)


def test_a_filter_is_told_in_words():
    chosen = Selection.of(run="may", brand="7", states=("expired", "rejected"), older_than=timedelta(hours=2))
    assert str(chosen) == "run=may brand=7 state=expired,rejected older-than=7200s"


def test_only_the_fields_that_are_needed_are_read():
    assert Selection.of(run="may").fields() == ["s", "made"]
    assert Selection.of(brand="7").fields() == ["s", "made", "z"]
    assert len(Selection.of(code="X").fields()) == 102
