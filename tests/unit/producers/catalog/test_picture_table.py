"""What is known of pictures, in a table that goes to disk when it is long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress.catalog.picture_table import PictureTable
from couponpress.errors import CatalogError
from couponpress.picture_files import Settled

TEXTS = st.one_of(st.sampled_from("abc"), st.text(st.characters(exclude_categories=[]), min_size=1, max_size=5))


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, st.booleans(), st.sampled_from(["", "https://wxpaylogo.qpic.cn/1.png"]), TEXTS)))
def test_it_is_what_a_dict_would_be(acts):
    table, known = PictureTable(), {}
    for source, settle, url, reason in acts:
        if settle:
            known[source] = Settled(source, url, reason)
            table.settle(known[source])
        else:
            known.setdefault(source, None)
            table.add(source)
    assert list(table) == list(known)
    assert len(table) == len(known)
    assert {source: table.settled(source) for source in known} == known
    assert table.settled("another source") is None


def test_pictures_may_be_settled_while_they_are_read():
    table = PictureTable()
    names = [f"{number}.png" for number in range(1200)]
    for name in names:
        table.add(name)
    read = []
    for source in table:
        read.append(source)
        table.settle(Settled(source, "https://wxpaylogo.qpic.cn/1.png"))
    assert read == names


def test_nothing_is_opened_before_there_is_a_picture():
    assert (len(PictureTable()), bool(PictureTable())) == (0, False)


def test_a_temporary_file_that_fails_is_told():
    table = PictureTable()
    table.add("a.png")
    table._open.execute("PRAGMA max_page_count = 4")

    def fill():
        for number in range(1000):
            table.add(f"{number}.png" * 10)

    with pytest.raises(CatalogError, match=r"temporary file, which failed \(database or disk is full\).*TMPDIR"):
        fill()
