"""Ids in memory and on disk: whatever is where, the first one of each is found again."""

import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress.catalog.id_table import IdTable
from couponpress.errors import CatalogError

HASHES = st.integers(-(2**63), 2**63 - 1)
#: Few enough that ids come again, with some that share a part, a bit of the filter, or their bytes with a record's.
KEYS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0, 1, -1, 256, 1 << 32, -(2**63), 2**63 - 1, 1 << 24, 1 << 52]),
    HASHES,
)


@settings(deadline=None)
@given(st.lists(st.tuples(KEYS, st.one_of(KEYS, HASHES)), max_size=60), st.integers(1, 20))
def test_what_came_first_is_found_wherever_it_is(puts, spill_after):
    known = {}
    with IdTable(spill_after) as table:
        for line, (key, body) in enumerate(puts, 1):
            assert table.put(key, body, line) == known.get(key)
            known.setdefault(key, (body, line))
        for key, first in known.items():
            assert table.put(key, 0, 0) == first


def test_a_small_upload_never_touches_the_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with IdTable(spill_after=10) as table:
        assert [table.put(key, 0, 1) for key in range(9)] == [None] * 9
        assert table.put(5, 0, 2) == (0, 1)
        with pytest.raises(CatalogError, match=r"temporary file.*No such file.*TMPDIR"):
            table.put(9, 0, 1)


def test_what_is_on_disk_can_be_lost_to_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with IdTable(spill_after=2) as table:
        for key in range(5):
            table.put(key << 60, key, 1)
        assert list(tmp_path.iterdir()) == []
        assert table.put(3 << 60, 0, 2) == (3, 1)
