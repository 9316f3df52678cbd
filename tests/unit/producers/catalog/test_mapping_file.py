"""A mapping that is saved keeps what a person wrote into the file."""

import tomllib

import pytest

from couponpress.catalog import HeaderMapping
from couponpress.catalog.mapping_file import NotEditableError, edited
from couponpress.errors import CatalogError

OURS = """\
# Mapping of our shop. Ask Li before you change it.

[columns]
# The till exports this name since March.
"门店品牌号" = "brand_id"
'满' = "threshold"   # in cents
row = 'row_id'

[words.scope]   # our own words
"全店" = "全场"

[fixed]
type = "满减券"
"""


def test_a_new_pair_goes_to_the_end_of_its_part_and_a_changed_one_stays_in_its_place():
    made = edited(OURS, {"columns": {"满": "threshold_yuan", "减": "discount_yuan", "row": "row_id"}, "fixed": {}})
    expected = OURS.replace('"threshold"   #', '"threshold_yuan"   #').replace(
        "row = 'row_id'\n", 'row = \'row_id\'\n"减" = "discount_yuan"\n'
    )
    assert made == expected


def test_a_new_part_goes_to_the_end():
    made = edited(OURS, {"words.type": {"现金": "满减券"}, "words.scope": {"全店": "全场", "单店": "单品"}})
    assert made == OURS.replace('"全场"\n', '"全场"\n"单店" = "单品"\n') + '\n[words.type]\n"现金" = "满减券"\n'


def test_what_stands_there_already_is_left_alone():
    assert edited(OURS, {"columns": {"row": "row_id"}, "words.scope": {"全店": "全场"}}) == OURS
    assert edited("", {"columns": {'a "b" \\ c': "scope"}}) == '[columns]\n"a \\"b\\" \\\\ c" = "scope"\n'


@pytest.mark.parametrize(
    "text",
    [
        'columns = {"满" = "threshold"}\n',
        '[columns]\n"满" = """threshold"""\n',
        'columns."满" = "threshold"\n',
        "[columns]\nno mapping\n",
        "columns = 3\n",
    ],
)
def test_another_way_of_writing_is_not_edited(text):
    with pytest.raises(NotEditableError):
        edited(text, {"columns": {"满": "threshold_yuan"}})


def test_a_saved_mapping_has_the_comments_of_the_one_that_was_loaded(tmp_path):
    old, new = tmp_path / "shop.toml", tmp_path / "new.toml"
    old.write_text(OURS, encoding="utf-8")
    mapping = HeaderMapping.load(old, ["减=discount_yuan", "ROW=task_id"])
    mapping.save(new, old)
    assert new.read_text("utf-8") == OURS.replace("row = 'row_id'\n", 'row = "task_id"\n"减" = "discount_yuan"\n')
    assert HeaderMapping.load(new) == mapping
    mapping.save(old, old)
    assert old.read_text("utf-8") == new.read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.toml", "new.toml"]


def test_a_file_that_is_no_mapping_is_not_written_over(tmp_path):
    (tmp_path / "notes.toml").write_text("Ask Li.\n")
    with pytest.raises(CatalogError, match=r"notes.toml is there, and is no mapping.*save the mapping to a new file"):
        HeaderMapping({"a": "scope"}).save(tmp_path / "notes.toml")
    assert (tmp_path / "notes.toml").read_text() == "Ask Li.\n"


def test_a_mapping_of_another_catalog_keeps_its_pairs(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(OURS, encoding="utf-8")
    HeaderMapping({"满减": "discount_yuan"}).save(path)
    columns = tomllib.loads(path.read_text("utf-8"))["columns"]
    assert columns == {"门店品牌号": "brand_id", "满": "threshold", "row": "row_id", "满减": "discount_yuan"}
