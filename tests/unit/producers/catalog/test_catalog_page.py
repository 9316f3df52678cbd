"""docs/catalog.md and its Chinese twin: their examples are read, and what they show is what is written."""

import re
from pathlib import Path

import pytest

from couponpress.catalog import cells
from couponpress.catalog.vocabulary import VOCABULARY
from couponpress.cli.dry_run import cost_line
from couponpress.language import speaking
from tests.pages import OUTPUT, sections
from tests.unit.producers.catalog.test_reading import errors_of, read_all, sent

DOCS = Path(__file__).parents[4] / "docs"
#: A page in each language, with what stands before the reason of a cell that is refused.
PAGES = {"en": (DOCS / "catalog.md", "refused: "), "zh_CN": (DOCS / "zh-CN" / "catalog.md", "拒绝：")}


def blocks(kind, language="en"):
    page, _ = PAGES[language]
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def table_with(language, column):
    """The rows of the page's table that has a column of this name."""
    page, _ = PAGES[language]
    (found,) = [
        rows for section in sections(page.read_text("utf-8")) for rows in section.tables if rows[0][1] == column
    ]
    return found[2:]


COLUMNS = [("en", "headers"), ("zh_CN", "表头")]
AMOUNTS = [
    (language, *row) for language, name in (("en", "under"), ("zh_CN", "列")) for row in table_with(language, name)
]


def test_the_pages_first_catalog_is_the_same_in_both_formats():
    _, from_csv = read_all(blocks("csv")[0])
    _, from_jsonl = read_all(blocks("jsonl")[0], "jsonl")
    assert [sent(row) for row in from_csv] == [sent(row) for row in from_jsonl]
    assert len(from_csv) == 3
    assert not any(row.notes for row in from_csv)


@pytest.mark.parametrize(("language", "name"), COLUMNS)
def test_the_page_lists_every_header_that_is_understood(language, name):
    listed = [re.findall(r"`([^`]+)`", headers) for _, headers, _ in table_with(language, name)]
    assert {frozenset(names) for names in listed} == {frozenset(meaning.names) for meaning in VOCABULARY}


@pytest.mark.parametrize(("language", "name"), COLUMNS)
def test_the_pages_words_are_understood(language, name):
    columns = {re.findall(r"`([^`]+)`", headers)[0]: text for _, headers, text in table_with(language, name)}
    for field in ("image_generation_type", "scope", "type", "usage_mode"):
        pairs = re.findall(r"`([^`]+)`(?: \(|（)([A-Z_]+)", columns[field])
        assert len(pairs) >= 2
        assert all(cells.word(field, chinese) == own for chinese, own in pairs)


@pytest.mark.parametrize(("language", "cell", "column", "becomes"), AMOUNTS)
def test_the_pages_money_and_discounts(language, cell, column, becomes):
    meaning = next(meaning for meaning in VOCABULARY if column.strip("`") in meaning.names)
    _, refused = PAGES[language]
    with speaking(language):
        if becomes.startswith(refused):
            with pytest.raises(cells.CellError, match=re.escape(becomes.removeprefix(refused))):
                meaning.read(cell.strip("`"))
        else:
            assert meaning.read(cell.strip("`")) == int(becomes)


@pytest.mark.parametrize("language", PAGES)
def test_the_pages_error_file_is_what_is_written(tmp_path, language):
    before, after = blocks("csv", language)[2], blocks(OUTPUT, language)[1]
    with speaking(language):
        errors_of(before, tmp_path / "errors.csv")
    assert (tmp_path / "errors.csv").read_text("utf-8-sig") == after


@pytest.mark.parametrize("language", PAGES)
def test_the_pages_forecast_is_what_a_dry_run_prints(language):
    (shown,) = [one for one in blocks(OUTPUT, language) if "312,000" in one]
    with speaking(language):
        told = cost_line(312_000, 493.0, 0, now=0.0)
    clock = r"\d\d:\d\d:\d\d"
    assert re.sub(clock, "", told) == re.sub(clock, "", shown.strip())
