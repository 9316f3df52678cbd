"""Fingerprints: a body without its task_id, and a row's id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.ledger.chunks import Identified, identified_in
from couponpress.nightly.row_fingerprints import fingerprint_of, fingerprint_of_body, row_digest
from couponpress.serialized_spec import SerializedSpec
from tests.builders import head_body, spec

TRICKY = 'https://wxpaylogo.qpic.cn/wxpaylogo/1.png?"task_id":"x'


@pytest.mark.parametrize("run", ["monday", "tuesday"])
@given(number=st.integers(1, 10**6))
def test_a_stored_body_has_the_fingerprint_of_its_halves(run, number):
    written = SerializedSpec.of(spec(number))._replace(task_id=None)
    stored = identified_in(run)(written)
    assert fingerprint_of_body(stored.row.body) == fingerprint_of(written.head, written.tail)


def test_another_night_s_task_id_is_no_change_and_another_amount_is():
    def of(amount, run):
        written = SerializedSpec.of(spec(amount, **{**head_body(amount), "task_id": None}))
        return identified_in(run)(written)

    first, second, dearer = of(1, "monday"), of(1, "tuesday"), of(2, "tuesday")
    assert first.task_id != second.task_id
    assert (
        fingerprint_of_body(first.row.body)
        == fingerprint_of_body(second.row.body)
        != fingerprint_of_body(dearer.row.body)
    )


def test_what_looks_like_a_task_id_in_a_text_is_none():
    body = b'{"brand_id":"a \\"task_id\\":\\"b","task_id":"cp_1","x":1}'
    assert fingerprint_of_body(body) == fingerprint_of(b'{"brand_id":"a \\"task_id\\":\\"b","task_id":"', b'","x":1}')


def test_rows_go_by_their_id():
    assert row_digest("SP-1") != row_digest("SP-2")
    assert len(row_digest("\ud800")) == 8
    assert isinstance(Identified.of(spec(1), "r"), Identified)
