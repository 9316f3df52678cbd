"""Names in Redis: one partner's never meet another's, no two are the same, and ids can be read back."""

import hashlib
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.keys import HELD_SCORE, INDEX_BUCKETS, LANES, SUBMIT_TASK, Keys, index_entry, lane_of, run_of

KEYS = Keys("1900000001")


def names_of(keys):
    """Every name that a partner has, one of each kind, by what makes it."""
    made = {name: getattr(keys, name) for name, one in inspect.getmembers(Keys) if isinstance(one, property)}
    del made["prefix"], made["queues"]
    for name, one in inspect.getmembers(Keys, inspect.isfunction):
        if not name.startswith("_"):
            _, *named = inspect.signature(one).parameters
            made[name] = one(keys, *("bulk" if parameter == "lane" else "b1" for parameter in named))
    return made


def test_every_name_is_scoped_by_the_partner():
    assert all(name.startswith("couponpress:1900000001:") for name in names_of(KEYS).values())


def test_no_two_names_are_the_same():
    names = names_of(KEYS)
    assert len(set(names.values())) == len(names) >= 18


def test_two_partners_share_no_name():
    assert not set(names_of(KEYS).values()) & set(names_of(Keys("19000000011")).values())


def test_every_name_says_its_type_and_when_it_goes():
    for name, one in inspect.getmembers(Keys):
        if name not in {"prefix", "queues", "mchid"} and not name.startswith("_"):
            told = one.__doc__
            assert any(kind in told for kind in ("LIST", "HASH", "ZSET", "SET", "STRING", "STREAM", "CHANNEL")), name
            assert any(
                word in told for word in ("TTL", "Forgotten", "forgotten", "Members leave", "Removed", "removed")
            ), name


def test_queues_are_emptied_urgent_first_and_bulk_last():
    assert KEYS.queues == (KEYS.queue("urgent"), KEYS.queue_again, KEYS.queue("bulk"))


@pytest.mark.parametrize("lane", LANES)
def test_the_lane_stands_in_a_runs_number(lane):
    assert lane_of(f"{lane[0]}1f") == lane
    assert lane_of(f"{lane[0]}1f.12") == lane


@given(st.integers(1, 2**40), st.integers(1, 10**6))
def test_the_run_stands_in_a_chunks_id(run, sequence):
    assert run_of(f"b{run:x}.{sequence}") == f"b{run:x}"


def test_a_task_is_indexed_by_ten_bytes_of_its_digest():
    assert index_entry("abc-000001") == hashlib.sha256(b"abc-000001").digest()[:10]


def test_twelve_bits_choose_among_all_index_buckets():
    assert INDEX_BUCKETS == 2**12


def test_held_chunks_are_due_after_every_moment_that_a_double_counts_exactly():
    year_3000_ms = 32_503_680_000_000
    assert year_3000_ms < HELD_SCORE < 2**53


def test_the_names_that_other_languages_rely_on_are_as_documented():
    assert SUBMIT_TASK == "couponpress.submit_chunk"
    assert KEYS.queue("urgent") == "couponpress:1900000001:queue:urgent"
    assert KEYS.queue("bulk") == "couponpress:1900000001:queue:bulk"
