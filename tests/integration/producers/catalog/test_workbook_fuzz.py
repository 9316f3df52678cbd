"""Whatever a workbook holds, reading it ends with rows or with one sentence. FUZZ_EXAMPLES=100000 tries more."""

import contextlib
import io
import os
import re

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from couponpress import catalog
from couponpress.catalog.cells import CellError
from couponpress.catalog.rows import SheetCell
from couponpress.catalog.workbook_cells import shown, text_of
from couponpress.errors import CatalogError
from tests.unit.producers.catalog.test_workbook import DISCOUNT, NORMAL, workbook
from tests.workbooks import parts_of, with_shared_texts, zipped

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "120"))
NEWLINE = "\n"
BOUNDED = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


GOOD = with_shared_texts(
    workbook(NORMAL, DISCOUNT, NORMAL, formats={"F2": '"¥"0.00', "G3": "0%"}, merged=["B2:B4"], sheets=["说明"])
)


PARTS = parts_of(GOOD)
NAMES = sorted(name for name in PARTS if name.endswith((".xml", ".rels")))
TOKENS = [
    b'"-1"',
    b'"0"',
    b'"99999999999999999999"',
    b'"1e999"',
    b'""',
    b'"B2:XFE9999999"',
    b'"ZZZZ1"',
    b'"_x000D_"',
    b"'A1'",
    b"<",
    b">",
    b"/>",
    b"&lt;",
    b"&unknown;",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b'<?xml version="1.0" encoding="latin-9"?>',
    b"\xff\xfe",
    b"\0",
    b"</row>",
    b"<row>",
    b'<c t="s"><v>7</v></c>',
    b'<c t="e"><v>#N/A</v></c>',
    b'<c t="d"><v>2026-05-01</v></c>',
    b'<c t="z"><v>1</v></c>',
    b"<v>nan</v>",
    b"<v>1e308</v>",
    b"<v>0.0</v>",
    b"<is><t>x</t></is>",
    b"<x>" * 3000,
    b"x" * 70_000,
]
#: Which part, which of its attributes and tags, and what is put in its place.
CHANGES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 500), st.sampled_from(TOKENS) | st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)
_PLACE = re.compile(rb'"[^"]*"|<[^>]*>|>[^<]+<')


def changed(changes):
    parts = dict(PARTS)
    for name, at, put in changes:
        places = list(_PLACE.finditer(parts[name]))
        if places:
            place = places[at % len(places)]
            parts[name] = parts[name][: place.start()] + put + parts[name][place.end() :]
    return zipped(parts)


def read_to_the_end(content, folder):
    """Read a workbook as `submit` does, and write what is broken; returns the sentence that it ended with, if any."""
    path = folder / "errors.xlsx"
    try:
        with (
            catalog.read(io.BytesIO(content), format="xlsx") as rows,
            catalog.ErrorFile(path, rows) as errors,
        ):
            for row in rows:
                if isinstance(row, catalog.BrokenRow):
                    errors.write(row)
                else:
                    row.spec.identified("run").body()
            assert len(rows.summary.lines()) <= 4
    except CatalogError as error:
        return str(error)
    return ""


@BOUNDED
@given(changes=CHANGES)
def test_changed_xml_is_rows_or_a_sentence(tmp_path_factory, changes):
    assert NEWLINE not in read_to_the_end(changed(changes), tmp_path_factory.getbasetemp())


@BOUNDED
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=5))
def test_changed_bytes_of_the_zip_are_rows_or_a_sentence(tmp_path_factory, damage):
    content = GOOD
    for at, length, put in damage:
        content = content[:at] + put + content[at + length :]
    assert NEWLINE not in read_to_the_end(content, tmp_path_factory.getbasetemp())


#: Offsets in an entry of the zip's directory: version, flags, method, time, sums and sizes, names, place.
@BOUNDED
@given(entry=st.integers(0, len(PARTS) - 1), at=st.integers(4, 45), put=st.binary(min_size=1, max_size=4))
@example(entry=0, at=8, put=b"\x01")
@example(entry=0, at=10, put=b"\x09")
@example(entry=3, at=24, put=b"\xff\xff\xff\xff")
@example(entry=3, at=42, put=b"\xff\xff\xff\x7f")
def test_a_changed_directory_is_rows_or_a_sentence(tmp_path_factory, entry, at, put):
    start = [found.start() for found in re.finditer(rb"PK\x01\x02", GOOD)][entry] + at
    assert NEWLINE not in read_to_the_end(GOOD[:start] + put + GOOD[start + len(put) :], tmp_path_factory.getbasetemp())


@BOUNDED
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4), st.binary(max_size=30))
def test_missing_and_emptied_parts_are_rows_or_a_sentence(tmp_path_factory, names, put):
    parts = {name: part for name, part in PARTS.items() if name not in names[1:]}
    assert NEWLINE not in read_to_the_end(zipped(parts | {names[0]: put}), tmp_path_factory.getbasetemp())


FORMATS = st.text(alphabet='0#?.,%_*"\\![]$¥元分;-/ :ymdhsEe+@GeneralK万', max_size=12)


@BOUNDED
@given(
    value=st.integers(0, 10**17) | st.floats(0, 1e17),
    number_format=FORMATS,
    unit=st.sampled_from(["yuan", "cents", "percent", ""]),
)
def test_every_format_is_read_or_refused(value, number_format, unit):

    cell = SheetCell(value, number_format)
    shown(cell)
    with contextlib.suppress(CellError):
        assert text_of(cell, unit)
