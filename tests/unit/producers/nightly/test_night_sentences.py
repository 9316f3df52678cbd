"""What came of a night, in Chinese."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import couponpress.nightly
from couponpress.errors import CouponpressError
from couponpress.language import speaking
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
