"""What came of a night, in Chinese."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import couponpress.nightly
from couponpress.errors import CouponpressError
from couponpress.language import every_message, gettext, speaking
from couponpress.nightly.night_sentences import KNOWN, in_words
from couponpress.nightly.plan import Counts, Plan, decide
from couponpress.uploads.catalog_upload import CatalogUpload
from tests.trees import texts_of

NOW = datetime(2026, 11, 30, 2, 30, tzinfo=UTC)
ENGLISH = re.compile("[A-Za-z]{2,} [A-Za-z]{2,}")
NAMES = re.compile(r"on_\w+ = \w+")


@pytest.mark.parametrize("deadline", [None, NOW + timedelta(hours=9), NOW + timedelta(minutes=1)])
@pytest.mark.parametrize("rate", [None, 500.0])
@pytest.mark.parametrize("changed", [0, 1, 312_000])
@pytest.mark.parametrize("answer", ["queue", "skip", "replace"])
def test_every_plan_is_told_in_chinese(changed, rate, deadline, answer):
    counts = Counts(rows=changed + 12_000, changed=changed, under_way=3, broken=2)
    plan = Plan(counts, before=1_200, rate=rate, now=NOW, deadline=deadline)
    sentence = decide(plan, ["shop-1", "shop-2"], on_overlap=answer, on_late=answer).sentence
    with speaking("zh_CN"):
        assert not ENGLISH.search(NAMES.sub("", in_words(sentence))), in_words(sentence)
    assert in_words(sentence) == sentence


def test_a_night_that_is_over_is_told_in_chinese():
    with speaking("zh_CN"):
        assert in_words("312,000 rows, 300,000 unchanged, 12,000 sent, 11,999 succeeded, 1 failed, 84 s") == (
            "312,000 行，300,000 行未改动，已发送 12,000 个，成功 11,999 个，失败 1 个，84 秒"
        )
        assert in_words("deadline 06:00 met") == "赶上截止时间 06:00"
        assert in_words("a callable's own words, whatever they are") == "a callable's own words, whatever they are"


def test_whatever_error_of_couponpress_ended_a_night_is_told_in_chinese(tmp_path):
    """It is stored in English; here an error that no list of nights' troubles names."""
    catalog = tmp_path / "may.csv"
    catalog.write_text("whatever,this\n1,2\n", encoding="utf-8")
    with pytest.raises(CouponpressError) as caught:
        CatalogUpload([str(catalog)]).check()
    stored = str(caught.value)
    with speaking("zh_CN"):
        told = in_words(stored)
    assert in_words(stored) == stored
    assert not re.search("[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}", told), told
    assert "may.csv" in told


def test_a_list_in_a_stored_error_is_told_part_by_part(tmp_path):
    catalog = tmp_path / "may.csv"
    catalog.write_text(
        "品牌ID,图片类型,优惠范围,券类型,门槛(元),减免(分)\n1,拼图,全场,满减券,100,20\n", encoding="utf-8"
    )
    with pytest.raises(CouponpressError) as caught:
        CatalogUpload([str(catalog)]).check()
    with speaking("zh_CN"):
        assert "'门槛(元)' 按 元 读取、'减免(分)' 按 分 读取。" in in_words(str(caught.value))


def test_every_sentence_of_the_catalog_is_told_as_a_whole():
    """The short parts of a night's sentence are found in none of them."""
    short = re.compile(r"^See and release$|^must be (?:greater|less) than")
    for message in every_message():
        names = re.findall(r"%\((\w+)\)s", message)
        own = sum(map(str.isalpha, re.sub(r"%\(\w+\)s", "", message)))
        if own < 12 or "\n" in message or short.search(message) or re.search(r"\)s'?%\(", message):
            continue
        values = dict.fromkeys(names, "'X-1'")
        with speaking("zh_CN"):
            wanted = gettext(message) % values if names else gettext(message)
            told = in_words(message % values if names else message)
        assert told == wanted or not ENGLISH.search(told), told


def test_each_part_is_one_of_the_code():
    told = "\n".join(
        text
        for path in Path(couponpress.nightly.__file__).parent.parent.rglob("*.py")
        if path.name != "night_sentences.py"
        for text in texts_of(path)
    )
    for sentence in KNOWN:
        for part in re.split(r"%\(\w+\)s|1 |met|missed", sentence):
            assert part.strip(" :").replace("_", " ") in told.replace("_", " "), sentence
