"""Pages in English and Chinese: both have the same headings, commands, tables, names, figures and links."""

import re
from itertools import zip_longest
from os.path import relpath
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from couponpress.language import LOCALE
from tests.pages import OUTPUT, ROOT, TWINS, anchors, codes, commands, figures, sections, target

PAIRS = list(TWINS.items())
HAN = re.compile(r"[\u4e00-\u9fff]")


def only_in_one(english, chinese):
    """How two sets differ, in words; empty if they do not."""
    told = [("only in English: ", english - chinese), ("only in Chinese: ", chinese - english)]
    return "; ".join(f"{where}{', '.join(sorted(map(str, names)))}" for where, names in told if names)


def unequal_blocks(english, chinese):
    for number, (one, other) in enumerate(zip_longest(english.blocks, chinese.blocks, fillvalue=("none", "")), 1):
        if one[0] != other[0]:
            yield f"code block {number} is {one[0]} in English and {other[0]} in Chinese"
        elif one[0] == OUTPUT:
            if len(one[1].splitlines()) != len(other[1].splitlines()):
                yield f"the output in code block {number} has another number of lines"
            if told := only_in_one(figures(one[1]), figures(other[1])):
                yield f"figures in code block {number}: {told}"
        else:
            for line, other_line in zip_longest(commands(*one), commands(*other)):
                if line != other_line:
                    yield f"code block {number}: English `{line}`, Chinese `{other_line}`"
                    break


def unequal_tables(english, chinese):
    if len(english.tables) != len(chinese.tables):
        yield f"{len(english.tables)} tables in English, {len(chinese.tables)} in Chinese"
    for one, other in zip(english.tables, chinese.tables, strict=False):
        if len(one) != len(other):
            yield f"the table has {len(one)} lines in English and {len(other)} in Chinese"
        for row, other_row in zip(one, other, strict=False):
            if len(row) != len(other_row):
                yield f"the table's line `{row[0]}` has {len(row)} columns in English and {len(other_row)} in Chinese"
            for cell, other_cell in zip(row, other_row, strict=False):
                for read in (codes, figures):
                    if told := only_in_one(read(cell), read(other_cell)):
                        yield f"the table's line {row[0]}, {read.__name__}: {told}"


def unequal(english, chinese):
    """What two sections differ in, one sentence for each difference."""
    yield from unequal_blocks(english, chinese)
    yield from unequal_tables(english, chinese)
    for name in ("list items", "paragraphs", "bold parts"):
        one, other = getattr(english, name.replace(" ", "_")), getattr(chinese, name.replace(" ", "_"))
        if len(one) != len(other):
            yield f"{len(one)} {name} in English, {len(other)} in Chinese"
    for read in (codes, figures):
        if told := only_in_one(read(english.text), read(chinese.text)):
            yield f"{read.__name__} in the text: {told}"
    for paragraph in chinese.paragraphs:
        if not HAN.search(paragraph):
            yield f"a paragraph is not in Chinese: {paragraph}"


def differences(english, chinese):
    """What two lists of sections differ in, with the section's name in both languages."""
    found = []
    for one, other in zip_longest(english, chinese):
        if one is None or other is None or one.level != other.level:
            shown = [f"{'#' * section.level} {section.title}" if section else "nothing" for section in (one, other)]
            found.append(f"headings differ from here on: English `{shown[0]}`, Chinese `{shown[1]}`")
            break
        found += [f"section “{one.title}” ({other.title}): {told}" for told in unequal(one, other)]
    return found


def read(path):
    return sections((ROOT / path).read_text("utf-8"))


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_the_page_says_the_same_in_both_languages(english, chinese):
    found = differences(read(english), read(chinese))
    assert not found, f"{english} and {chinese}:\n" + "\n".join(found)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_the_page_links_to_the_same_places_in_both_languages(english, chinese):
    for one, other in zip(read(english), read(chinese), strict=True):
        leads = [
            sorted({str(target(link, page)) for link in section.links})
            for page, section in ((english, one), (chinese, other))
        ]
        assert leads[0] == leads[1], f"{english}, section “{one.title}” ({other.title})"


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_the_page_links_to_its_twin(english, chinese):
    lines = [(ROOT / page).read_text("utf-8").splitlines()[2] for page in (english, chinese)]
    assert lines == [
        f"English | [简体中文]({relpath(chinese, Path(english).parent)})",
        f"[English]({relpath(english, Path(chinese).parent)}) | 简体中文",
    ]


@pytest.mark.parametrize("chinese", [chinese for _, chinese in PAIRS])
def test_a_chinese_page_links_to_chinese_pages(chinese):
    english = {str(ROOT / page) for page, twin in PAIRS if twin != chinese}
    links = [link.partition("#")[0] for section in read(chinese) for link in section.links if "://" not in link]
    there = [link for link in links if str(((ROOT / chinese).parent / link).resolve()) in english]
    assert not there, f"{chinese} links to the English pages {there}, which have a twin"


@pytest.mark.parametrize(
    "page",
    sorted(
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("*.md"), *ROOT.glob("deploy/*.md"), *ROOT.glob("docs/**/*.md")]
    ),
)
def test_an_anchor_that_a_page_links_to_exists(page):
    for section in read(page):
        for link in section.links:
            path, _, anchor = link.partition("#")
            if anchor and "://" not in link:
                file = str(((ROOT / page).parent / path).resolve().relative_to(ROOT)) if path else page
                assert anchor in anchors(file), f"{page}: {link}"


def test_a_chinese_message_names_the_chinese_page():
    with (LOCALE / "zh_CN" / "LC_MESSAGES" / "couponpress.po").open("rb") as file:
        said = "\n".join(str(message.string) for message in read_po(file))
    named = set(re.findall(r"(?:docs|deploy)/[\w/-]+\.md", said))
    assert named
    assert named & set(TWINS) == set()
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_every_chinese_page_has_an_english_one():
    there = {str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.zh-CN.md"), *ROOT.glob("docs/zh-CN/*")]}
    assert there == {chinese for _, chinese in PAIRS}


# --- the comparison itself --------------------------------------------------------------------------------------------

ENGLISH = """# Page

English | [简体中文](zh-CN/page.md)

Give `--strict` within 30 s.

## Steps

- one
- two

```sh
submit may.csv   # a comment
```

```text
3 rows, 2 new
```

| a | b |
|---|---|
| `x` | up to 1,000 |
"""
CHINESE = """# 页面

[English](../page.md) | 简体中文

请在 30 秒内加上 `--strict`。

## 步骤

- 一
- 二

```sh
submit may.csv   # 注释
```

```text
3 行，其中 2 行为新
```

| 甲 | 乙 |
|---|---|
| `x` | 最多 1000 |
"""


def test_two_equal_pages_do_not_differ():
    assert differences(sections(ENGLISH), sections(CHINESE)) == []


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("## 步骤", "### 步骤", "headings differ from here on: English `## Steps`, Chinese `### 步骤`"),
        ("- 二\n", "", "section “Steps” (步骤): 2 list items in English, 1 in Chinese"),
        ("may.csv", "june.csv", "code block 1: English `submit may.csv`, Chinese `submit june.csv`"),
        ("```sh", "```text", "code block 1 is sh in English and text in Chinese"),
        ("其中 2 行", "其中 4 行", "figures in code block 2: only in English: 2; only in Chinese: 4"),
        ("2 行为新\n", "2 行为新\n完\n", "the output in code block 2 has another number of lines"),
        ("| `x` | 最多 1000 |\n", "", "the table has 3 lines in English and 2 in Chinese"),
        ("| `x` | 最多 1000 |", "| `x` |", "the table's line ``x`` has 2 columns in English and 1 in Chinese"),
        ("`x` |", "`y` |", "the table's line `x`, codes: only in English: `x`; only in Chinese: `y`"),
        ("1000", "1001", "the table's line `x`, figures: only in English: 1000; only in Chinese: 1001"),
        ("加上 `--strict`。", "加上 `--strict`。\n\n还有一段。", "1 paragraphs in English, 2 in Chinese"),
        ("请在", "**请**在", "0 bold parts in English, 1 in Chinese"),
        ("`--strict`", "", "section “Page” (页面): codes in the text: only in English: `--strict`"),
        ("30 秒", "40 秒", "figures in the text: only in English: 30; only in Chinese: 40"),
        ("请在 30 秒内加上", "Within 30 s:", "a paragraph is not in Chinese: Within 30 s: `--strict`。"),
        ("\n## 步骤", "\n\n| 甲 |\n|---|\n\n## 步骤", "section “Page” (页面): 0 tables in English, 1 in Chinese"),
    ],
)
def test_what_is_behind_is_named(was, becomes, told):
    assert was in CHINESE
    found = differences(sections(ENGLISH), sections(CHINESE.replace(was, becomes)))
    assert any(told in one for one in found), found
