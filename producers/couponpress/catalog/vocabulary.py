"""The names that columns may have, and how the cells under each are read.

`docs/catalog.md` shows the same table of names, and a test compares the two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, NamedTuple

from couponpress.catalog import cells
from couponpress.language import current, gettext

CellReader = Callable[[str], str | int]


class Meaning(NamedTuple):
    """What a column can mean.

    Attributes:
        field: the request's field.
        read: how a cell is read.
        names: the headers that say so.
        unit: what amounts are counted in: `yuan`, `cents` or `percent`; empty where there is no amount.
    """

    field: str
    read: CellReader
    names: tuple[str, ...]
    unit: str = ""


def picture(text: str) -> str:
    """Return the path or URL of a picture. Raises CellError for a formula, as WPS writes it for a picture in a cell."""
    if text.strip().startswith("="):
        raise cells.CellError(
            gettext(
                "is a formula, or a picture inside of the workbook, which is not read; save the picture as a file and "
                "write its name"
            )
        )
    return text.strip()


#: What forms put around a header to say that its cells must, or need not, be filled in.
_WORD_OF_MARK: Final = r"(?:必填项?|选填项?|可选|可空|非必填|required|optional)"
_IN_BRACKETS: Final = rf"[(\[【](?:\*|{_WORD_OF_MARK}(?:[,;:、][^()\[\]【】]*)?)[)\]】]"
_MARKS: Final = re.compile(rf"^(?:[*※★]|{_IN_BRACKETS})+|(?:[*※★:]|(?<=[*※★]){_WORD_OF_MARK}|{_IN_BRACKETS})+$")
#: Brackets that stand around a unit as round ones do.
_BRACKETS: Final = str.maketrans("[]【】〔〕〈〉{}", "()()()()()")

#: A longer text is no name of a column, and is not folded.
_LONGEST_NAME: Final = 300

#: Upper and lower case, blanks, `_`, `-` and the width of brackets make no difference in a header.
VOCABULARY: Final = (
    Meaning("row_id", str.strip, ("row_id", "行号", "编号", "商品编号", "商品编码", "商品ID", "编码", "SKU")),
    Meaning("task_id", str.strip, ("task_id", "任务ID", "任务编号")),
    Meaning("brand_id", str.strip, ("brand_id", "品牌ID", "品牌编号")),
    Meaning(
        "image_generation_type",
        partial(cells.word, "image_generation_type"),
        ("image_generation_type", "image_type", "图片类型", "图片生成类型"),
    ),
    Meaning("scope", partial(cells.word, "scope"), ("scope", "优惠范围", "适用范围")),
    Meaning("type", partial(cells.word, "type"), ("type", "coupon_type", "券类型", "优惠券类型", "商品券类型")),
    Meaning("usage_mode", partial(cells.word, "usage_mode"), ("usage_mode", "使用模式")),
    Meaning("threshold", cells.threshold_cents, ("threshold", "门槛(分)"), "cents"),
    Meaning("threshold", cells.threshold_yuan, ("threshold_yuan", "门槛(元)", "使用门槛(元)"), "yuan"),
    Meaning("discount_amount", cells.cents, ("discount_amount", "减免(分)"), "cents"),
    Meaning("discount_amount", cells.yuan, ("discount_yuan", "减免(元)", "优惠金额(元)"), "yuan"),
    Meaning("percent_off", cells.percent_off, ("percent_off",), "percent"),
    Meaning("percent_off", cells.discount, ("discount", "折扣"), "percent"),
    Meaning("exchange_price", cells.cents, ("exchange_price", "换购价(分)"), "cents"),
    Meaning("exchange_price", cells.yuan, ("exchange_price_yuan", "换购价(元)", "兑换价(元)"), "yuan"),
    Meaning("background_color", cells.color, ("background_color", "背景色", "背景颜色")),
    Meaning("image_url", picture, ("image_url", "image_file", "商品图", "商品图片", "商品图URL", "图片文件")),
)


def meaning_of(name: str) -> Meaning | None:
    """Return what a header means, or None if it means nothing here."""
    return _MEANINGS.get(folded(name))


def known(name: str) -> Meaning:
    """Return what a name means that was found to mean something.

    Raises:
        KeyError: it does not.
    """
    return _MEANINGS[folded(name)]


def own_names() -> list[str]:
    """Return one name of each meaning, the one that is used in mappings."""
    return [meaning.names[0] for meaning in VOCABULARY]


def spellings(field: str) -> str:
    """A field's own name and its first Chinese one, preferring money in yuan; in Chinese that one alone."""
    chinese = [name for meaning in VOCABULARY if meaning.field == field for name in meaning.names if not name.isascii()]
    usual = next((name for name in chinese if "元" in name), chinese[0])
    return f"{field} ({usual})" if current() == "en" else usual


def as_in_file(header: str, field: str, rule: str) -> str:
    """Return a rule with the words that a person writes under a Chinese header; English is told with the platform's.

    >>> as_in_file("优惠范围", "scope", "must be 'ALL' or 'SINGLE'")
    "must be 'ALL' or 'SINGLE'"
    """
    if current() == "en" or header.isascii():
        return rule
    words = {
        ours: theirs for known_words in cells.WORDS.values() for theirs, ours in reversed(list(known_words.items()))
    }
    words |= {ours: theirs for theirs, ours in reversed(list(cells.WORDS.get(field, {}).items()))}
    return _PLATFORM_WORD.sub(lambda found: words.get(found[0], found[0]), rule)


def folded(name: str) -> str:
    """Return a header without what makes no difference in it, such as a mark that its cells must be filled in.

    >>> folded("品牌 ID*"), folded("品牌ID（必填）"), folded("Brand-ID")
    ('品牌id', '品牌id', 'brandid')
    """
    return name if len(name) > _LONGEST_NAME else _folded(name)


@lru_cache(1024)
def _folded(name: str) -> str:
    plain = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", cells.visible(name)).casefold())
    return (_MARKS.sub("", plain) or plain).translate(_BRACKETS)


_PLATFORM_WORD: Final = re.compile(r"(?<![A-Za-z_])[A-Z]+(?:_[A-Z]+)*(?![A-Za-z_])")
_MEANINGS: Final = {folded(name): meaning for meaning in VOCABULARY for name in meaning.names}
