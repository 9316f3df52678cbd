"""A merchant's own headers, fixed values and words: what they change, and what is refused in which words."""

import io
import re
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress import catalog
from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.errors import CatalogError

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"
OWN = {
    "columns": {
        "门店品牌号": "brand_id",
        "满": "threshold_yuan",
        "减": "discount_yuan",
        "活动": "scope",
        "折扣": "row_id",
    },
    "fixed": {"type": "满减券", "picture": "拼图"},
    "words": {"scope": {"全店": "全场", "Some Shops": "CATEGORY"}},
}
OWN["fixed"]["image_type"] = OWN["fixed"].pop("picture")
TEXT = "门店品牌号,满,减,活动,折扣\n1,100,9.9,全店,a\n2,50,5,some-shops,b\n"


def read_all(text, own, **options):
    headers = HeaderMapping.of(own, "own.toml") if isinstance(own, dict) else own
    with catalog.read(io.BytesIO(text.encode()), format="csv", encoding="utf-8", headers=headers, **options) as rows:
        return rows, list(rows)


def test_headers_fixed_values_and_words():
    rows, found = read_all(TEXT, OWN, strict=True)
    assert [(row.serialized_spec.row_id, row.spec.brand_id) for row in found] == [("a", "1"), ("b", "2")]
    assert [row.spec.combine_image.scope for row in found] == ["ALL", "CATEGORY"]
    assert {row.spec.combine_image.type for row in found} == {"NORMAL"}
    assert found[0].spec.combine_image.normal_coupon.threshold == 10000
    assert rows.unused_columns == ()


def test_a_mapped_column_goes_before_one_that_the_vocabulary_knows():
    rows, (row,) = read_all(f"品牌ID,我的品牌,商品图\nx y,7,{URL}\n", {"columns": {"我的品牌": "brand_id"}})
    assert row.spec.brand_id == "7"
    assert rows.unused_columns == ("品牌ID",)


def test_a_mapped_header_tells_the_delimiter_too():
    rows, found = read_all(TEXT.replace(",", ";"), OWN)
    assert (rows.delimiter, rows.good) == (";", 2)
    assert [row.serialized_spec.row_id for row in found] == ["a", "b"]


def test_problems_are_told_under_the_merchants_own_header_and_can_be_mended(tmp_path):
    text = TEXT.replace("9.9", "viel").replace("全店", "半店")
    with (
        catalog.read(io.BytesIO(text.encode()), format="csv", headers=HeaderMapping.of(OWN, "own")) as rows,
        catalog.ErrorFile(tmp_path / "errors.csv", rows) as errors,
    ):
        broken = next(iter(rows))
        errors.write(broken)
    assert [problem.field for problem in broken.problems] == ["减", "活动"]
    mended = (tmp_path / "errors.csv").read_text("utf-8").replace(",viel,", ",9.9,").replace(",半店,", ",全店,")
    _, (row,) = read_all(mended, OWN)
    assert row.serialized_spec == read_all(TEXT, OWN)[1][0].serialized_spec


def test_a_fixed_field_without_a_column_is_called_by_its_name():
    _, (row,) = read_all(f"商品图\n{URL[:-4]} x\n", {"fixed": {"brand_id": "no brand"}})
    assert {problem.field for problem in row.problems} == {"brand_id", "商品图"}


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"colums": {}}, "own.toml: there is no part 'colums'; the parts are columns, fixed, words."),
        ({"columns": {"a": "brand"}}, "own.toml: there is no field 'brand'; the fields are row_id, task_id, brand_id,"),
        ({"fixed": {"prize": "5"}}, "own.toml: there is no field 'prize'; the fields are"),
        ({"words": {"prize": {"a": "5"}}}, "own.toml: there is no field 'prize'"),
        ({"columns": "brand_id"}, "own.toml: [columns] must be a table of names and texts"),
        ({"words": {"scope": "x"}}, "own.toml: [words.scope] must be a table"),
        ({"fixed": {"brand_id": 120344}}, "own.toml: [fixed]: 'brand_id' must be a text in quotes"),
        ({"columns": {"a b": "scope", "A_B": "type"}}, "own.toml: [columns]: 'A_B' stands twice"),
        ({"fixed": {"row_id": "x"}}, "own.toml: row_id cannot be fixed, for it is each row's own"),
        ({"fixed": {"scope": "半场"}}, "own.toml: the fixed scope must be one of ALL, SINGLE, CATEGORY (got '半场')"),
        ({"fixed": {"threshold_yuan": "x"}}, "own.toml: the fixed threshold_yuan must be an amount in yuan"),
        ({"words": {"scope": {"店": "x"}}}, "word '店' of scope must be one of ALL, SINGLE, CATEGORY (got 'x')"),
        ({"words": {"brand_id": {"店": "1"}}}, "brand_id has no words; words are possible for image_generation_type,"),
    ],
)
def test_what_a_mapping_cannot_say(own, sentence):
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        HeaderMapping.of(own, "own.toml")


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        (
            {"columns": {"品牌": "brand_id"}},
            "the stream: the mapping names a column '品牌', which is not there; there are '品牌ID', '商品图'.",
        ),
        ({"fixed": {"brand_id": "1"}}, "the column '品牌ID' means brand_id, which the mapping fixes; remove one"),
        (
            {"fixed": {"threshold": "1", "threshold_yuan": "1"}},
            "another fixed value means threshold, which the mapping fixes",
        ),
        ({"columns": {"品牌ID": "scope", "商品图": "scope"}}, "the columns '品牌ID' and '商品图' both mean scope"),
    ],
)
def test_what_does_not_fit_the_file(own, sentence):
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        read_all(f"品牌ID,商品图\n1,{URL}\n", own)


def test_json_lines_have_no_columns():
    with pytest.raises(CatalogError, match="is JSONL, which has no columns to map"):
        catalog.read(io.BytesIO(b"{}"), format="jsonl", headers=HeaderMapping())


def test_pairs_go_before_the_file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[columns]\n"a=b" = "scope"\n[fixed]\nbrand_id = "1"\n', encoding="utf-8")
    own = HeaderMapping.load(path, ["a=b=type", "c = threshold"])
    assert own == HeaderMapping({"a=b": "type", "c": "threshold"}, {"brand_id": "1"}, {})


@pytest.mark.parametrize("pair", ["brand_id", "=brand_id", " =brand_id"])
def test_a_pair_needs_two_halves(pair):
    with pytest.raises(CatalogError, match="must read header=field"):
        HeaderMapping.load(None, [pair])


def test_a_pair_names_what_is_possible():
    with pytest.raises(CatalogError, match="--map: there is no field 'x'; the fields are row_id"):
        HeaderMapping.load(None, ["a=x"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read (No such file"), (b"[columns", "is not TOML"), (b"\xff", "is not TOML")],
)
def test_a_mapping_that_cannot_be_read(tmp_path, content, sentence):
    path = tmp_path / "own.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CatalogError, match=re.escape(sentence)):
        HeaderMapping.load(path)


letters = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(str.strip).filter(bool)


@settings(deadline=None)
@given(st.dictionaries(letters, letters, max_size=4), st.dictionaries(letters, letters, max_size=2))
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, columns, words):
    path = tmp_path_factory.mktemp("own") / "own.toml"
    HeaderMapping(columns, {"brand_id": "1"}, {"scope": words}).save(path)
    saved = tomllib.loads(path.read_text("utf-8"))
    assert saved.get("columns", {}) == columns
    assert saved["fixed"] == {"brand_id": "1"}
    assert saved.get("words", {}).get("scope", {}) == words


def test_a_mapping_that_cannot_be_saved_is_told(tmp_path):
    with pytest.raises(CatalogError, match="cannot be written"):
        HeaderMapping({"a": "scope"}).save(tmp_path / "none" / "own.toml")


def test_a_mapped_name_that_two_columns_have_stops_the_catalog():
    header, _, rest = TEXT.partition("\n")
    name = next(iter(OWN["columns"]))
    with pytest.raises(CatalogError, match="is mapped, and two columns have that name"):
        read_all(f"{header},{name}\n{rest}", OWN)
