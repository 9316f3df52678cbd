"""Encodings, line ends and delimiters of tables: told by the content, the same rows whatever they are."""

import codecs
import csv
import io
import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress import catalog
from couponpress.catalog.cells import CellError
from couponpress.catalog.csv_records import delimiter_of
from couponpress.catalog.encodings import told_encoding
from couponpress.catalog.ids import identifier
from couponpress.catalog.lines import Lines
from couponpress.errors import CatalogError

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"
HEADER = ("商品编号", "品牌ID", "图片类型", "优惠范围", "券类型", "门槛(元)", "减免(元)", "折扣", "商品图")
GOOD = (
    ("SP-1", "120344", "拼图", "全场", "满减券", "1,299.00", "9.9", "", ""),
    ("SP-2; 茶", "120344", "拼图", "品类", "折扣券", "无门槛", "", "8.5折", ""),
    ("龘;镕,", "120345", "抠图", "", "", "", "", "", URL),
)
ENCODED = [
    ("utf-16-le", b"\xff\xfe"),
    ("utf-16-be", b"\xfe\xff"),
    ("utf-8", b""),
    ("utf-8", b"\xef\xbb\xbf"),
    ("gb18030", b""),
    ("gb18030", b"\x84\x31\x95\x33"),
]


def table(rows, delimiter=",", line_end="\r\n"):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return out.getvalue()


def read_all(content, **options):
    with catalog.read(io.BytesIO(content), format="csv", **options) as rows:
        return rows, list(rows)


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, as a slow pipe does."""

    def __init__(self, content, at_once):
        self.rest, self.at_once = content, at_once

    def readable(self):
        return True

    def readinto(self, buffer):
        given = self.rest[: min(self.at_once, len(buffer))]
        self.rest = self.rest[len(given) :]
        buffer[: len(given)] = given
        return len(given)


def lines_of(content, at_once=1 << 20, **options):
    return Lines(io.BufferedReader(Trickle(content, at_once)), "it", **{"encoding": None, "lone_cr": True, **options})


# --- telling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("text", ["品牌", "品牌ID,门槛(元)", "全场,拼图,满减券", "龘镕", "，", "￥199", "8.5折"])
def test_chinese_is_told(text, encoding):
    content = text.encode(encoding)
    assert told_encoding(content[len(content) - len(content.lstrip(b"0123456789.")) :], ended=True) == encoding


@pytest.mark.parametrize("text", ["é", "Москва", "·", "×2"])
def test_letters_that_read_well_as_both_are_not_guessed(text):
    assert told_encoding(text.encode(), ended=True) is None
    assert told_encoding("一".encode("gb18030"), ended=True) is None


def test_a_yuan_sign_is_one():
    assert told_encoding("¥199,¥5".encode(), ended=True) == "utf-8"


def test_damaged_utf8_is_no_gb18030():
    damaged = "全场,满减券,折扣券,兑换券,".encode() * 5 + "品".encode()[:2] + b","
    assert told_encoding(damaged, ended=True) == "utf-8"


def test_chinese_is_hardly_ever_told_wrong():
    """Rare letters at random, cut within one too. Wrong would be worse than not knowing, which short texts may be."""
    chance, wrong = random.Random(5), []
    letters = [chr(number) for number in range(0x4E00, 0x9FA6)]
    for _ in range(20_000):
        text = "".join(chance.choices(letters, k=chance.randint(3, 40)))
        encoding, right = chance.choice([("utf-8", "utf-8"), ("gbk", "gb18030")])
        content = (text + "元,").encode(encoding)
        told = told_encoding(content[: len(content) - 1 - chance.randint(0, 2)], ended=False)
        if told != right and not (told is None and len(text) < 8) and not _reads_as(content, told):
            wrong.append(text)
    assert len(wrong) <= 2


def test_a_few_letters_that_look_like_utf8_do_not_make_it_so():
    assert told_encoding("丁瀚丗元,".encode("gbk")[:6], ended=False) == "gb18030"


def _reads_as(content, encoding):
    """Rare Chinese letters in GBK may be good UTF-8 of Chinese letters as well."""
    try:
        content[:-3].decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


# --- lines ------------------------------------------------------------------------------------------------------------

texts = st.lists(st.sampled_from(["a", "茶", "\r", "\n", "\r\n", "é", ",", "\u2028", "𠮷", "x" * 50]), max_size=60)


@settings(deadline=None)
@given(texts, st.sampled_from(["utf-8", "gb18030"]), st.integers(1, 7), st.booleans())
def test_lines_are_those_of_python_however_slowly_they_come(parts, encoding, at_once, lone_cr):
    text = "".join(parts)
    content = text.encode(encoding)
    found = lines_of(content, at_once, encoding=encoding, lone_cr=lone_cr)
    expected = list(io.StringIO(text, newline="" if lone_cr else "\n"))
    assert list(found) == expected
    assert found.bytes_read == len(content)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_encoding_shows_late_and_memory_does_not_grow(encoding):
    content = b"brand_id,image_url\n" * 20_000 + "茶\n".encode(encoding)
    lines = lines_of(content)
    found = iter(lines)
    for _ in range(10_000):
        next(found)
    assert lines.encoding is None
    assert lines.bytes_read <= 10_000 * 19 + 2 * 65536
    assert list(found)[-1] == "茶\n"
    assert lines.encoding == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_broken_letter_comes_after_every_line_before_it(encoding):
    content = ("茶\n" * 3).encode(encoding) + b"ab\xff\xff\nx\n"
    lines = iter(lines_of(content, encoding=encoding))
    assert [next(lines) for _ in range(3)] == ["茶\n"] * 3
    with pytest.raises(UnicodeDecodeError):
        next(lines)


# --- delimiters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("品牌ID,商品图", ","),
        ("品牌ID;商品图", ";"),
        ("品牌ID\t商品图", "\t"),
        ('"品牌ID";"a, b, c, d, e";商品图', ";"),
        ("品牌ID;a, b, c, d, e;商品图", ";"),
        ("x;y", ";"),
        ("x", ","),
        ("", ","),
    ],
)
def test_the_header_tells_the_delimiter(header, delimiter):
    assert delimiter_of(header, {"品牌ID", "商品图"}.__contains__) == delimiter


# --- whole tables -----------------------------------------------------------------------------------------------------


def is_an_id(text):
    """Words such as NULL are none; test_ids.py has them."""
    try:
        return bool(identifier(text))
    except CellError:
        return False


cells = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\x1a"), min_size=1, max_size=12
).filter(is_an_id)
rows = st.lists(
    st.tuples(cells, st.sampled_from(GOOD)).map(lambda pair: (pair[0].strip(), *pair[1][1:])), min_size=1, max_size=5
)


@settings(deadline=None)
@given(
    rows,
    st.sampled_from(ENCODED),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.just(("", "")), max_size=2),
)
def test_the_same_rows_in_every_encoding_and_with_every_delimiter(lines, encoded, delimiter, line_end, blank):
    encoding, mark = encoded
    content = mark + table([*blank, HEADER, *lines], delimiter, line_end).encode(encoding)
    found, read = read_all(content)
    _, expected = read_all(table([*blank, HEADER, *lines]).encode(), encoding="utf-8")
    assert [row.serialized_spec for row in read] == [row.serialized_spec for row in expected]
    assert len(read) == len(lines)
    assert (found.encoding, found.delimiter, found.bom) == (encoding, delimiter, bool(mark))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(("encoding", "mark"), ENCODED)
def test_the_error_file_has_the_catalogs_encoding_and_delimiter_and_can_be_mended(tmp_path, encoding, mark, delimiter):
    broken = [(*GOOD[0][:5], "一百元", *GOOD[0][6:-1], "a\rb\nc"), ("", "", *GOOD[1][2:])]
    text = table([HEADER, GOOD[2], *broken], delimiter) + f'"5 cake{delimiter}1\n'
    with (
        catalog.read(io.BytesIO(mark + text.encode(encoding)), format="csv") as found,
        catalog.ErrorFile(tmp_path / "errors.csv", found) as errors,
    ):
        for row in found:
            if isinstance(row, catalog.BrokenRow):
                errors.write(row)
    written = (tmp_path / "errors.csv").read_bytes()
    mark = codecs.BOM_UTF8 if encoding == "utf-8" else mark
    assert written.startswith(mark + f"_line{delimiter}_problem{delimiter}商品编号{delimiter}".encode(encoding))
    mended = written[len(mark) :].decode(encoding).replace("一百元", "100元")
    mended = mended.replace(delimiter * 2 + "拼图", f"{delimiter}120344{delimiter}拼图")
    again, rows_read = read_all(mark + mended.encode(encoding))
    assert (again.encoding, again.delimiter) == (encoding, delimiter)
    assert [type(row).__name__ for row in rows_read] == ["Row", "Row", "BrokenRow"]
    assert [row.serialized_spec.row_id for row in rows_read[:2]] == ["SP-1", "6"]
    assert rows_read[2].given.endswith(f'"5 cake{delimiter}1\n')


def test_what_is_said_is_believed():
    header = ("brand_id", "image_url", "row_id")
    content = table([header, ("1", URL, "é")]).encode()
    sentence = "could be UTF-8 or GB18030: its few letters that are not English read well as both. Say which it is"
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        read_all(content)
    assert read_all(content, encoding="UTF8")[1][0].serialized_spec.row_id == "é"
    assert read_all(content, encoding="gbk")[1][0].serialized_spec.row_id == "茅"
    with pytest.raises(
        CatalogError, match="there is no encoding 'latin-1' for catalogs; they are utf-8, gb18030, big5 or utf-16"
    ):
        read_all(content, encoding="latin-1")


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "UTF-8"), ("gb18030", r"GBK \(GB18030\)")])
def test_text_that_breaks_later_names_its_line(encoding, shown):
    content = table([HEADER, *GOOD * 500]).encode(encoding) + b"\xff\xff"
    with pytest.raises(CatalogError, match=rf"is not {shown} text \(line 1502 holds"):
        read_all(content)


def test_json_lines_may_be_said_to_be_gb18030():
    body = {"row_id": "茶", "brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}}
    line = json.dumps(body, ensure_ascii=False)
    with catalog.read(io.BytesIO(line.encode("gbk")), format="jsonl", encoding="gb18030") as found:
        assert [row.serialized_spec.row_id for row in found] == ["茶"]


class Stalled(Trickle):
    """A pipe whose writer waits after what it has written."""

    def readinto(self, into):
        assert self.rest, "more is waited for"
        return super().readinto(into)


@pytest.mark.parametrize(("encoding", "mark"), [one for one in ENCODED if one[1]])
def test_a_mark_settles_the_encoding_at_once(encoding, mark):
    stalled = io.BufferedReader(Stalled(mark + "商品编号,品牌ID\nSP-1,12".encode(encoding), 4096))
    lines = iter(Lines(stalled, "it", encoding=None, lone_cr=True))
    assert next(lines) == "商品编号,品牌ID\n"


def test_big5_is_told_where_it_is_plain():
    text = table([("商品編號", "門檻", "減免", "顏色", "備註", "brand_id", "image_url"), (*["說明"] * 5, "1", URL)])
    found, read = read_all(text.encode("big5"))
    assert (found.encoding, found.header[0]) == ("cp950", "商品編號")
    assert [row.spec.brand_id for row in read] == ["1"]


def test_utf16_without_a_mark_is_told_by_its_ascii():
    found, read = read_all(table([("brand_id", "image_url", "row_id"), ("1", URL, "茶")]).encode("utf-16-le"))
    assert (found.encoding, read[0].spec.row_id) == ("utf-16-le", "茶")


def test_the_euro_sign_of_windows_gbk_reads():
    content = table([(*HEADER, "价"), (*GOOD[0], "3EUR")]).encode("gbk").replace(b"EUR", b"\x80")
    found, read = read_all(content)
    assert (found.encoding, read[0].given[-1]) == ("gb18030", "3€")


def test_one_bad_byte_in_gbk_is_told_as_gbk_with_its_line():
    content = table([HEADER, *GOOD]).encode("gbk").replace("全场".encode("gbk"), "全场".encode("gbk") + b"\xc3,", 1)
    with pytest.raises(CatalogError, match=r"is not GBK \(GB18030\) text \(line 2 holds bytes"):
        read_all(content)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x1f\x8b\x08\x00\x00", "compressed with gzip; unpack it first"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"<html><table>", "a web page or XML"),
        (b"<?xml version='1.0'?>", "a web page or XML"),
    ],
)
def test_a_file_that_is_no_table_is_called_what_it_is(start, what):
    with pytest.raises(CatalogError, match=f"the stream is {what}"):
        read_all(start)
