"""Catalogs for `enqueue`: as JSONL, CSV and a workbook, of offers that hardly ever repeat, or of few."""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path

import openpyxl

from couponpress_worker.demo import sample_catalog

#: How many different offers a catalog of few has.
FEW = 50
FORMS = ("jsonl", "csv", "xlsx")

_BRANDS = [brand_id for _, brand_id, _ in sample_catalog.BRANDS]
_WORDS = {
    "NORMAL": "满减券",
    "DISCOUNT": "折扣券",
    "EXCHANGE": "兑换券",
    "ALL": "全场",
    "SINGLE": "单品",
    "CATEGORY": "品类",
}
#: From the row's id to the colour.
_HEADER = sample_catalog.HEADER[:11]
#: Columns of the header above that hold numbers in a workbook.
_AMOUNTS = (6, 7, 9)


def write(path: Path, rows: int, *, unique: bool, seed: int) -> Path:
    """Write a catalog in the form that the suffix names, unless it is there; the same arguments give the same rows."""
    if path.exists():
        return path
    bodies = _bodies(rows, unique=unique, seed=seed)
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(body) + "\n" for body in bodies)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows(map(_cells, bodies))
    else:
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        sheet.append(_HEADER)
        for cells in map(_cells, bodies):
            sheet.append([float(cell) if at in _AMOUNTS and cell else cell or None for at, cell in enumerate(cells)])
        book.save(path)
    return path


def _bodies(rows: int, *, unique: bool, seed: int) -> Iterator[dict]:
    chance = random.Random(seed)
    few = [_combine_image(chance) for _ in range(FEW)]
    for number in range(rows):
        yield {
            "row_id": f"SP-{number:07d}",
            "brand_id": chance.choice(_BRANDS),
            "image_generation_type": "COMBINE_IMAGE",
            "combine_image": _combine_image(chance) if unique else chance.choice(few),
        }


def _combine_image(chance: random.Random) -> dict:
    """Return an offer with a random threshold, amount and colour: one of some 10 ** 17."""
    kind, threshold = chance.choice(("NORMAL", "DISCOUNT", "EXCHANGE")), chance.randrange(1000, 1_000_000)
    rules = {
        "NORMAL": ("normal_coupon", {"threshold": threshold, "discount_amount": chance.randint(1, threshold)}),
        "DISCOUNT": ("discount_coupon", {"threshold": threshold, "percent_off": chance.randint(1, 90)}),
        "EXCHANGE": ("exchange_coupon", {"threshold": threshold, "exchange_price": chance.randrange(1_000_000)}),
    }
    name, rule = rules[kind]
    scope = "SINGLE" if kind == "EXCHANGE" else chance.choice(("ALL", "SINGLE", "CATEGORY"))
    color = f"#{chance.randrange(1 << 24):06x}"
    return {"scope": scope, "type": kind, "usage_mode": "SINGLE", name: rule, "background_color": color}


def _cells(body: dict) -> list[str]:
    combine = body["combine_image"]
    rule = next(value for name, value in combine.items() if name.endswith("_coupon"))
    off = rule.get("percent_off")
    return [
        body["row_id"],
        body["brand_id"],
        "奶茶",
        "拼图",
        _WORDS[combine["scope"]],
        _WORDS[combine["type"]],
        _yuan(rule["threshold"]),
        _yuan(rule.get("discount_amount")),
        "" if off is None else f"{(100 - off) / 10:g}折",
        _yuan(rule.get("exchange_price")),
        combine["background_color"],
    ]


def _yuan(cents: int | None) -> str:
    return "" if cents is None else f"{cents // 100}.{cents % 100:02d}" if cents % 100 else str(cents // 100)
