"""Whatever the bytes of a catalog are, reading it ends with rows or with a sentence, never with another error."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from couponpress import catalog
from couponpress.errors import CatalogError
from tests.unit.producers.catalog.test_reading import GOOD_LINE, WIDE, wide

TABLE = "\n".join([WIDE, wide(1), wide(2, note='"a\nb"')]).encode()
JSON = f"{GOOD_LINE}\n{GOOD_LINE}\n".encode()
#: What damages a file: bytes that mean something to a decoder, a CSV reader, a JSON reader or a spreadsheet.
ODD = st.sampled_from(
    [
        b'"',
        b"\n",
        b"\r",
        b",",
        b";",
        b"\0",
        b"\xff",
        b"\x80",
        b"\x81",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"PK\x03\x04",
        b"{",
    ]
    + [b"[", b"}", b"]", b"\\", b"\\ud800", b"NaN", b"1e999", b"=", b"#N/A", b"6.9E+12", b"\xe2\x80\x8b", b"sep=;\n"]
    + [b'"_text":', b'"_line":', b"_line,", b"_problem,", b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b"x" * 200_000]
)
DAMAGE = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 40), st.one_of(ODD, st.binary(max_size=4))), min_size=1, max_size=4
)


def read_to_the_end(content, kind, errors):
    try:
        with (
            catalog.DuplicateIds() as seen,
            catalog.read(io.BytesIO(content), format=kind, seen=seen, strict=False) as rows,
            catalog.ErrorFile(errors, rows) as broken,
        ):
            for row in rows:
                if isinstance(row, catalog.BrokenRow):
                    broken.write(row)
                else:
                    row.spec.identified("run").body()
    except CatalogError as error:
        return str(error)
    return ""


def is_a_sentence(text):
    return "\n" not in text.strip() and len(text) < 2000


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@settings(deadline=None, max_examples=300)
@given(damage=DAMAGE)
@example(damage=[(0, 0, b"x" * 200_000)])
@example(damage=[(0, 21, b""), (0, 40, b""), (3, 40, b'"'), (4, 40, b'"')])
def test_a_damaged_catalog_is_rows_or_a_sentence(tmp_path_factory, kind, damage):
    content = TABLE if kind == "csv" else JSON
    for at, length, put in damage:
        content = content[:at] + put + content[at + length :]
    assert is_a_sentence(read_to_the_end(content, kind, tmp_path_factory.getbasetemp() / "errors"))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
@settings(deadline=None, max_examples=200)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_sentence(tmp_path_factory, kind, content):
    assert is_a_sentence(read_to_the_end(content, kind, tmp_path_factory.getbasetemp() / "errors"))
