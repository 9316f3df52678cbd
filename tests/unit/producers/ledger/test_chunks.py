"""What a chunk holds comes back byte for byte."""

import hashlib
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress.errors import DamagedChunkError
from couponpress.keys import index_entry
from couponpress.ledger.chunks import (
    CHUNK_SIZE,
    Identified,
    Row,
    body_digest,
    digests,
    digests_of_rows,
    pack,
    unpack,
)
from couponpress.spec import TaskSpec, generated_task_id
from tests.builders import cut_out_body, identified, spec

texts = st.text(st.characters(exclude_categories=["Cs"]))
bodies = st.dictionaries(texts, texts, max_size=4).map(
    lambda fields: json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
)
rows = st.lists(st.builds(Row, texts, bodies), min_size=1, max_size=CHUNK_SIZE)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_rows_come_back_as_they_were(given_rows):
    assert unpack(pack(given_rows)) == given_rows


def test_a_row_id_may_hold_line_ends_and_quotes():
    odd = [Row('a\nb\r\n"c"\u2028', b"{}"), Row("d", b"[]")]
    assert unpack(pack(odd)) == odd


def test_the_stored_form_is_compressed_lines():
    stored = zlib.decompress(pack([Row("甲", b'{"a":1}'), Row("2", b"{}")]))
    assert stored == '["甲","2"]\n{"a":1}\n{}'.encode()


def test_a_damaged_chunk_is_not_taken_for_a_shorter_one():
    stored = zlib.compress(b'["1","2"]\n{}')
    with pytest.raises(DamagedChunkError, match="shorter"):
        unpack(stored)


@pytest.mark.parametrize(
    "stored", [b"", b"garbage", zlib.compress(b"{"), zlib.compress(b"\xff"), zlib.compress(b"3\n{}")]
)
def test_bytes_of_another_kind_are_a_damaged_chunk(stored):
    with pytest.raises(DamagedChunkError, match="cannot be unpacked"):
        unpack(stored)


def test_a_spec_keeps_the_bytes_of_its_body():
    one = Identified.of(spec(1), "may")
    assert one.row.body == spec(1).body()
    assert one.row.row_id == "row 1"


def test_a_spec_without_task_id_gets_one_from_run_and_row():
    one = Identified.of(TaskSpec.parse(cut_out_body(task_id=None) | {"row_id": "7"})[0], "may")
    assert one.task_id == generated_task_id("may", "7")
    assert one.row.body_fields()["task_id"] == one.task_id


def test_a_spec_without_row_id_goes_by_its_task_id():
    one = Identified.of(TaskSpec.parse(cut_out_body(5))[0], "may")
    assert one.row.row_id == one.task_id == "cut-out-000005"


def test_digests_are_eighteen_bytes_per_spec():
    specs = identified(range(3))
    expected = b"".join(index_entry(one.task_id) + hashlib.sha256(one.row.body).digest()[:8] for one in specs)
    assert digests(specs) == expected
    assert len(expected) == 3 * 18


def test_digests_are_the_same_when_made_from_stored_rows():
    specs = identified(range(CHUNK_SIZE))
    assert digests_of_rows(unpack(pack([one.row for one in specs]))) == digests(specs)


def test_another_body_has_another_digest():
    assert body_digest(spec(1).body()) != body_digest(spec(1, brand_id="2").body())


def test_a_chunk_of_head_and_cut_out_pictures_is_small():
    packed = pack([one.row for one in identified(range(CHUNK_SIZE))])
    assert len(packed) / CHUNK_SIZE < 40


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"brand_id":"120344","task_id":"cp_1","combine_image":{"task_id":"x"}}', ("120344", "cp_1")),
        (b'{"task_id":"cp_1"}', ("", "cp_1")),
        (b'{"brand_id":"1","task_id":"a","name":"\\ud83d"}', ("1", "a")),
        (b'{"brand_id":"1","\\ud83d":1,"task_id":"\\ud83d"}', ("1", "\ud83d")),
        ('{"brand_id":"1","task_id":"形"}'.encode(), ("1", "形")),
    ],
)
def test_the_ids_of_a_body_are_those_that_reading_all_of_it_finds(body, ids):
    row = Row("1", body)
    assert (row.ids().brand_id, row.ids().task_id) == ids
    assert (row.body_fields().get("brand_id", ""), row.body_fields()["task_id"]) == ids


def test_the_brand_of_a_row_is_found_wherever_its_body_names_it():
    bodies_of_brands = [b"{}", b'{"task_id":"t","brand_id":"7"}', b'{"brand_id":"8"}', spec(1, brand_id="9").body()]
    assert [Row("x", body).brand_id for body in bodies_of_brands] == ["", "7", "8", "9"]
