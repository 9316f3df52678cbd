"""Specs are grouped by brand, none is lost or doubled, and a reader has them in their order again."""

from itertools import chain, repeat

from hypothesis import given
from hypothesis import strategies as st

from couponpress.ledger.batches import BATCH_SIZE, OWN_CHUNK, batches, chunks_of, in_order, positions
from couponpress.ledger.chunks import CHUNK_SIZE, identified_in
from couponpress.serialized_spec import SerializedSpec
from tests.builders import spec

brands = st.lists(st.sampled_from("1112345"), min_size=1, max_size=300)


def batch_of(names):
    """A spec for each brand."""
    return [SerializedSpec.of(spec(number, brand_id=brand)) for number, brand in enumerate(names)]


def by_brand(batch):
    return chunks_of(batch, identified_in("may"), repeat(""))


def brand_of(one):
    return one.row.brand_id


@given(brands)
def test_every_spec_is_in_one_chunk_and_those_of_a_brand_keep_their_order(names):
    batch = batch_of(names)
    chunks = by_brand(batch)
    assert sorted(one.task_id for one in chain(*chunks)) == sorted(one.task_id for one in batch)
    assert all(0 < len(chunk) <= CHUNK_SIZE for chunk in chunks)
    for brand in set(names):
        of_brand = [one.task_id for one in chain(*chunks) if brand_of(one) == brand]
        assert of_brand == [one.task_id for one, name in zip(batch, names, strict=True) if name == brand]
    assert all(one.brand_id == brand_of(one) for one in chain(*chunks))


@given(brands)
def test_a_brand_with_a_quarter_of_a_chunk_has_chunks_of_its_own(names):
    for chunk in by_brand(batch_of(names)):
        for brand in {brand_of(one) for one in chunk}:
            if names.count(brand) >= OWN_CHUNK:
                assert {brand_of(one) for one in chunk} == {brand}


def test_many_brands_with_one_row_each_share_chunks():
    chunks = by_brand(batch_of(str(number) for number in range(BATCH_SIZE)))
    assert [len(chunk) for chunk in chunks] == [CHUNK_SIZE] * (BATCH_SIZE // CHUNK_SIZE)


@given(st.lists(brands, min_size=1, max_size=4))
def test_a_reader_has_the_specs_in_the_order_in_which_they_were_enqueued(of_batches):
    whole = [batch_of(names) for names in of_batches]
    chunks = chain.from_iterable(map(by_brand, whole))
    read = in_order((positions(chunk), [one.task_id for one in chunk]) for chunk in chunks)
    assert list(read) == [one.task_id for one in chain(*whole)]


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
