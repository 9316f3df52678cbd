"""Specs are grouped by brand, none is lost or doubled, and a reader has them in their order again."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from couponpress.ledger.batches import BATCH_SIZE, OWN_CHUNK, batches, by_brand, in_order, positions
from couponpress.ledger.chunks import CHUNK_SIZE
from tests.builders import identified

brands = st.lists(st.sampled_from("1112345"), min_size=1, max_size=300)


def batch_of(names):
    """A spec for each brand."""
    return [identified([number], brand_id=brand)[0] for number, brand in enumerate(names)]


def brand_of(spec):
    return spec.row.brand_id


@given(brands)
def test_every_spec_is_in_one_chunk_and_those_of_a_brand_keep_their_order(names):
    batch = batch_of(names)
    chunks = by_brand(batch)
    assert sorted(spec.task_id for spec in chain(*chunks)) == sorted(spec.task_id for spec in batch)
    assert all(0 < len(chunk) <= CHUNK_SIZE for chunk in chunks)
    for brand in set(names):
        of_brand = [spec.task_id for spec in chain(*chunks) if brand_of(spec) == brand]
        assert of_brand == [spec.task_id for spec in batch if brand_of(spec) == brand]


@given(brands)
def test_a_brand_with_a_quarter_of_a_chunk_has_chunks_of_its_own(names):
    for chunk in by_brand(batch_of(names)):
        for brand in {brand_of(spec) for spec in chunk}:
            if names.count(brand) >= OWN_CHUNK:
                assert {brand_of(spec) for spec in chunk} == {brand}


def test_many_brands_with_one_row_each_share_chunks():
    chunks = by_brand(batch_of(str(number) for number in range(BATCH_SIZE)))
    assert [len(chunk) for chunk in chunks] == [CHUNK_SIZE] * (BATCH_SIZE // CHUNK_SIZE)


@given(st.lists(brands, min_size=1, max_size=4))
def test_a_reader_has_the_specs_in_the_order_in_which_they_were_enqueued(of_batches):
    whole = [batch_of(names) for names in of_batches]
    chunks = chain.from_iterable(map(by_brand, whole))
    read = in_order((positions(chunk), [spec.task_id for spec in chunk]) for chunk in chunks)
    assert list(read) == [spec.task_id for spec in chain(*whole)]


def test_specs_of_one_brand_say_nothing_of_their_places():
    assert [positions(chunk) for chunk in by_brand(batch_of("1" * 250))] == [b"", b"", b""]


def test_a_batch_is_one_chunk_of_one_brand_or_more_of_several():
    taken = []

    def source():
        for number in range(5000):
            taken.append(number)
            yield number

    first, second, third, *_ = batches(source(), lambda number: "1" if number < 150 else str(number % 3))
    assert (len(first), len(second), len(third)) == (CHUNK_SIZE, BATCH_SIZE, BATCH_SIZE)
    several = batches(source(), lambda number: str(number % 3))
    taken.clear()
    next(several)
    assert len(taken) == BATCH_SIZE
    assert list(batches([], str)) == []
