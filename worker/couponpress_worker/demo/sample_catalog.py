"""Writes a sample catalog for the demo and the tests: Chinese headers, yuan, 折, and a few mistakes.

The same arguments give the same bytes.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Final

#: Name of each brand, its id, and its colour.
BRANDS: Final = (
    ("茶里时光", "120344", "#ff5733"),
    ("山野咖啡", "120345", "#2e7d32"),
    ("小满烘焙", "120346", "#f9a825"),
    ("青柠鲜果", "120347", "#00897b"),
    ("北岸书店", "120348", "#3949ab"),
)
HEADER: Final = (
    "商品编号",
    "品牌ID",
    "商品名称",
    "图片类型",
    "优惠范围",
    "券类型",
    "门槛(元)",
    "减免(元)",
    "折扣",
    "换购价(元)",
    "背景色",
    "商品图",
    "库存",
    "开始日期",
)

_FLAVOURS: Final = ("茉莉", "桂花", "生椰", "海盐", "抹茶", "蜜桃", "黑糖", "香草", "乌龙", "柚子", "可可", "草莓")
_PRODUCTS: Final = (
    "奶茶",
    "拿铁",
    "可颂",
    "吐司",
    "果切",
    "气泡水",
    "曲奇",
    "雪糕",
    "笔记本",
    "帆布袋",
    "礼盒",
    "套餐",
)
_SIZES: Final = ("", "(大杯)", "(小份)", "(两件装)", ",限周末", ' 12"')
_THRESHOLDS_YUAN: Final = ("20", "29.9", "39.90", "50", "88", "100", "￥199", "￥1,299.00")
_DISCOUNTS: Final = ("9折", "8.5折", "8折", "75折", "7折", "10% off", "20%")
_PICTURES: Final = "https://wxpaylogo.qpic.cn/wxpaylogo/"

_Line = dict[str, str]


def write(path: Path, rows: int = 5000, seed: int = 1, broken: int = 12) -> None:
    """Write a CSV catalog of `rows` rows, `broken` of which cannot be submitted, as Excel would: UTF-8 with its mark.

    Two rows in five are cut-outs; the rest are head pictures of every scope and coupon type. The broken rows are spread
    over the file, each broken in another way until all ways are used.
    """
    chance = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    spoilers = dict(zip(sorted(chance.sample(range(rows), broken)), islice(cycle(MISTAKES), broken), strict=True))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, HEADER, restval="")
        table.writeheader()
        for number in range(rows):
            spoil = spoilers.get(number)
            line = _line(number, chance, cut_out=spoil in _OF_CUT_OUTS if spoil else chance.random() < 0.4)
            if spoil:
                spoil(line)
            table.writerow(line)


def _line(number: int, chance: random.Random, *, cut_out: bool) -> _Line:
    brand, brand_id, color = chance.choice(BRANDS)
    line = {
        "商品编号": f"SP-{number + 1:06d}",
        "品牌ID": brand_id,
        "商品名称": f"{brand} {chance.choice(_FLAVOURS)}{chance.choice(_PRODUCTS)}{chance.choice(_SIZES)}",
        "图片类型": "抠图" if cut_out else "拼图",
        "库存": str(chance.randrange(10, 2000)),
        "开始日期": f"2026-{chance.randrange(1, 13):02d}-01",
    }
    if cut_out:
        line["商品图"] = f"{_PICTURES}{chance.getrandbits(64):016x}/0.png"
    else:
        line |= _offer(chance)
        if chance.random() < 0.7:
            line["背景色"] = color
    return line


def _offer(chance: random.Random) -> _Line:
    coupon_type = chance.choices(("满减券", "折扣券", "兑换券"), (5, 4, 1))[0]
    scope = "单品" if coupon_type == "兑换券" else chance.choices(("全场", "品类"), (4, 1))[0]
    line = {"优惠范围": scope, "券类型": coupon_type, "门槛(元)": chance.choice(_THRESHOLDS_YUAN)}
    if coupon_type == "满减券":
        line["减免(元)"] = chance.choice(("1", "3", "5.5", "9.90", "15", "19.99"))
    elif coupon_type == "折扣券":
        line["折扣"] = chance.choice(_DISCOUNTS)
        if chance.random() < 0.2:
            line["门槛(元)"] = "无门槛"
    else:
        line["换购价(元)"] = chance.choice(("0", "1", "4.9", "9.90"))
    return line


def _set(**cells: str) -> Callable[[_Line], None]:
    return lambda line: line.update(cells)


_NORMAL: Final = {
    "券类型": "满减券",
    "优惠范围": "全场",
    "门槛(元)": "100",
    "减免(元)": "10",
    "折扣": "",
    "换购价(元)": "",
}
_DISCOUNT: Final = {
    "券类型": "折扣券",
    "优惠范围": "全场",
    "门槛(元)": "100",
    "减免(元)": "",
    "折扣": "8折",
    "换购价(元)": "",
}

#: What people get wrong, each as a change to a good line.
MISTAKES: Final[tuple[Callable[[_Line], None], ...]] = (
    _set(**_DISCOUNT | {"折扣": "9.55折"}),
    _set(**_NORMAL | {"减免(元)": "120"}),
    _set(**_NORMAL | {"门槛(元)": "99.999"}),
    _set(商品图="https://img.example.com/menu/latte.png"),
    _set(品牌ID=""),
    _set(券类型="买一送一"),
    _set(背景色="渐变橙"),
    _set(**_NORMAL | {"减免(元)": "面议"}),
    _set(商品图=""),
    _set(品牌ID="茶里时光"),
    _set(**_DISCOUNT | {"折扣": "8"}),
    _set(图片类型="海报"),
)
_OF_CUT_OUTS: Final = {MISTAKES[3], MISTAKES[8]}
