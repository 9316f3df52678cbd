"""A spec that was written down gives the bytes that the spec itself gives, and can be read back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress.ledger.chunks import Identified, Row, identified_in
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec, generated_task_id, task_ids_of
from tests.builders import cut_out_body, head_body

cents = st.integers(1, 2**63 - 1)
ids = st.text(st.sampled_from("09azAZ_-"), min_size=6, max_size=40)
row_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
pictures = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60).map(
    lambda path: {"image_url": f"https://wxpaylogo.qpic.cn/{path}"}
)
rules = st.one_of(
    st.tuples(st.just("NORMAL"), cents.map(lambda n: {"normal_coupon": {"threshold": 0, "discount_amount": n}})),
    st.tuples(
        st.just("DISCOUNT"),
        st.integers(1, 99).map(lambda n: {"discount_coupon": {"threshold": n, "percent_off": n}}),
    ),
    st.tuples(st.just("EXCHANGE"), cents.map(lambda n: {"exchange_coupon": {"threshold": n, "exchange_price": n}})),
)
heads = st.builds(
    lambda scope, mode, rule, more: {"scope": scope, "type": rule[0], "usage_mode": mode, **rule[1], **more},
    st.sampled_from(["ALL", "SINGLE", "CATEGORY"]),
    st.sampled_from(["SINGLE", "PROGRESSIVE_BUNDLE"]),
    rules,
    st.sampled_from([{}, {"background_color": "#fF5733"}]),
)
specs = st.builds(
    lambda part, brand_id, task_id, row_id: TaskSpec.model_validate(
        {"brand_id": brand_id, "task_id": task_id, "row_id": row_id, **part}
    ),
    st.one_of(
        heads.map(lambda part: {"image_generation_type": "COMBINE_IMAGE", "combine_image": part}),
        pictures.map(lambda part: {"image_generation_type": "CUT_OUT", "cut_out": part}),
    ),
    ids,
    st.none() | ids,
    st.none() | row_ids,
)


@settings(max_examples=50, deadline=None)
@given(specs, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_the_bytes_and_ids_are_the_specs_own(spec, run):
    expected = spec.identified(run)
    identified = identified_in(run)(SerializedSpec.of(spec))
    assert identified == Identified(expected.task_id, Row(expected.row_id, expected.body()), spec.brand_id)
    assert SerializedSpec.of(spec).identified(run) == expected


@settings(max_examples=50, deadline=None)
@given(specs)
def test_a_spec_with_an_id_can_be_read_back(spec):
    if spec.task_id is None and spec.row_id is None:
        spec = spec.model_copy(update={"row_id": "1"})
    assert SerializedSpec.of(spec).spec() == spec


@settings(max_examples=50, deadline=None)
@given(specs, specs)
def test_a_brand_decides_the_head_and_an_offer_the_tail(one, other):
    mixed = other.model_copy(update={"brand_id": one.brand_id, "task_id": one.task_id, "row_id": one.row_id})
    written = SerializedSpec.of(mixed)
    assert (written.head, written.tail) == (SerializedSpec.of(one).head, SerializedSpec.of(other).tail)


@pytest.mark.parametrize("body", [cut_out_body, head_body])
def test_the_task_id_stands_between_the_halves(body):
    written = SerializedSpec.of(TaskSpec.parse(body(1))[0])
    assert json.loads(written.head + b"another" + written.tail) == body(1, task_id="another")


def test_a_spec_without_ids_goes_by_its_body():
    spec = TaskSpec.parse(cut_out_body(1, task_id=None))[0]
    assert SerializedSpec.of(spec).row_id == spec.identified("any run").row_id


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(row_ids, max_size=5))
def test_the_ids_of_a_run_do_not_depend_on_each_other(run, given_row_ids):
    task_id_of = task_ids_of(run)
    assert [task_id_of(row_id) for row_id in given_row_ids] == [generated_task_id(run, one) for one in given_row_ids]
