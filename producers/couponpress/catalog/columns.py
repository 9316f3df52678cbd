"""A CSV header becomes a plan: which column holds which field, and how its cells are read.

Decides the vocabulary and what a usable header is. Refuses to know rows and files. `docs/catalog.md` shows the same
table of names, and a test compares the two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from couponpress.catalog import cells
from couponpress.catalog.rows import LINE, PROBLEM
from couponpress.errors import CatalogError

CellReader = Callable[[str], str | int]


class Meaning(NamedTuple):
    """What a column can mean: the request's field, how a cell is read, and the headers that say so."""

    field: str
    read: CellReader
    names: tuple[str, ...]


#: Upper and lower case, blanks, `_`, `-` and the width of brackets make no difference in a header.
VOCABULARY: Final = (
    Meaning("row_id", str.strip, ("row_id", "行号", "编号", "商品编号")),
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
    Meaning("threshold", cells.threshold_cents, ("threshold", "门槛(分)")),
    Meaning("threshold", cells.threshold_yuan, ("threshold_yuan", "门槛(元)", "使用门槛(元)")),
    Meaning("discount_amount", cells.cents, ("discount_amount", "减免(分)")),
    Meaning("discount_amount", cells.yuan, ("discount_yuan", "减免(元)", "优惠金额(元)")),
    Meaning("percent_off", cells.percent_off, ("percent_off",)),
    Meaning("percent_off", cells.discount, ("discount", "折扣")),
    Meaning("exchange_price", cells.cents, ("exchange_price", "换购价(分)")),
    Meaning("exchange_price", cells.yuan, ("exchange_price_yuan", "换购价(元)", "兑换价(元)")),
    Meaning("background_color", str.strip, ("background_color", "背景色", "背景颜色")),
    Meaning("image_url", str.strip, ("image_url", "image_file", "商品图", "商品图片", "商品图URL", "图片文件")),
)

#: Fields without which no head picture, or no cut-out, can be described.
_FOR_COMBINE: Final = ("scope", "type", "threshold")
_AMOUNTS: Final = ("discount_amount", "percent_off", "exchange_price")
_FOR_CUT_OUT: Final = ("image_url",)


@dataclass(frozen=True)
class Plan:
    """How the rows of one table are read.

    Attributes:
        header: the header as the catalog has it.
        position: field -> its column's index; also of the `_line` column, if there is one.
        reader: field -> how a cell of its column is read.
        unused: headers of columns that are not sent, in their order.
    """

    header: tuple[str, ...]
    position: Mapping[str, int]
    reader: Mapping[str, CellReader]
    unused: tuple[str, ...]

    def column(self, field: str) -> str:
        """Return the header of a field's column; a field without a column is called by its own name."""
        at = self.position.get(field)
        return field if at is None else self.header[at].strip()


def plan_of(header: Sequence[str], catalog: str) -> Plan:
    """Understand a header. `catalog` names the file in errors.

    Raises:
        CatalogError: two columns mean the same field, or columns are missing without which no row can be used.
    """
    meanings = {_folded(name): meaning for meaning in VOCABULARY for name in meaning.names}
    position: dict[str, int] = {}
    reader: dict[str, CellReader] = {}
    unused = []
    for index, name in enumerate(header):
        meaning = meanings.get(_folded(name))
        field = name.strip() if name.strip() in {LINE, PROBLEM} else meaning.field if meaning else None
        if field is None:
            if name.strip():
                unused.append(name.strip())
            continue
        if field in position:
            raise CatalogError(
                f"{catalog}: the columns {header[position[field]].strip()!r} and {name.strip()!r} both mean {field}; "
                "remove one of them or give it another header."
            )
        position[field] = index
        if meaning:
            reader[field] = meaning.read
    _usable(position, catalog)
    return Plan(tuple(header), position, reader, tuple(unused))


def _usable(position: Mapping[str, int], catalog: str) -> None:
    missing = [] if "brand_id" in position else [_spellings("brand_id")]
    combine = [_spellings(field) for field in _FOR_COMBINE if field not in position]
    if not any(field in position for field in _AMOUNTS):
        combine.append("one of " + ", ".join(_spellings(field) for field in _AMOUNTS))
    if combine and not all(field in position for field in _FOR_CUT_OUT):
        missing.append(f"for head pictures {', '.join(combine)}, or for cut-outs {_spellings(_FOR_CUT_OUT[0])}")
    if missing:
        raise CatalogError(
            f"{catalog}: its first line is no usable header; missing columns: {'; '.join(missing)}. "
            "docs/catalog.md lists every header that is understood."
        )


def _spellings(field: str) -> str:
    """A field's own name and its first Chinese one, preferring money in yuan."""
    chinese = [name for meaning in VOCABULARY if meaning.field == field for name in meaning.names if not name.isascii()]
    return f"{field} ({next((name for name in chinese if '元' in name), chinese[0])})"


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())
