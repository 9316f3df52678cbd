"""An example catalog to fill in: Chinese headers, a row of every kind, and an explanation of each column.

`submit --dry-run` accepts the example as it is.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from couponpress.catalog.vocabulary import meaning_of
from couponpress.errors import CatalogError, system_error
from couponpress.language import gettext, joined


class Column(NamedTuple):
    """A column of the example.

    Attributes:
        header: its name.
        needed: when its cell is needed.
        explained: what a cell holds.
        choices: the only words that it takes; empty if any will do.
    """

    header: str
    needed: str
    explained: str
    choices: tuple[str, ...] = ()


COLUMNS: Final = (
    Column("商品编号", "选填", "您自己的行编号，结果文件会原样带回；每行不同，最多 200 个字。"),
    Column("品牌ID", "必填", "微信支付品牌 ID。整列请设为文本格式，避免长数字被 Excel 改写。"),
    Column("图片类型", "必填", "拼图：优惠信息头图；抠图：商品图去除背景。", ("拼图", "抠图")),
    Column("优惠范围", "拼图必填", "全场、单品或品类。", ("全场", "单品", "品类")),
    Column("券类型", "拼图必填", "满减券、折扣券或兑换券。", ("满减券", "折扣券", "兑换券")),
    Column("使用模式", "拼图必填", "一般填 单券。", ("单券", "多次优惠")),
    Column("门槛(元)", "拼图必填", "满多少元可用，最多两位小数；没有门槛填 无门槛。"),
    Column("减免(元)", "满减券必填", "减多少元，不超过门槛。"),
    Column("折扣", "折扣券必填", "8折、8.5折 或 20%（减去 20%）。只写 8 会被退回，因为意思不明确。"),
    Column("换购价(元)", "兑换券必填", "用多少元换购。"),
    Column("背景色", "选填", "#ff5733、rgb(255, 87, 51) 或 红色 这样的常用颜色名。"),
    Column(
        "商品图",
        "抠图必填",
        "图片文件的路径、网址，或 https://wxpaylogo.qpic.cn/ 上的地址；JPG、PNG 或 BMP，最大 2 MB。",
    ),
)

_HEAD_PICTURE: Final = {"图片类型": "拼图", "优惠范围": "全场", "使用模式": "单券"}
#: One row of every kind. The brand is an example.
ROWS: Final[tuple[Mapping[str, str], ...]] = (
    {**_HEAD_PICTURE, "券类型": "满减券", "门槛(元)": "199.90", "减免(元)": "20", "背景色": "#ff5733"},
    {**_HEAD_PICTURE, "券类型": "折扣券", "门槛(元)": "无门槛", "折扣": "8.5折", "优惠范围": "品类", "背景色": "红色"},
    {**_HEAD_PICTURE, "券类型": "兑换券", "门槛(元)": "50", "换购价(元)": "9.90", "优惠范围": "单品"},
    {"图片类型": "抠图", "商品图": "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"},
)
_BRAND: Final = "120344"
_NOTES: Final = (
    "第一行是表头，请保留；列的顺序可以改变，多余的列会被忽略。",
    "把示例行换成您自己的数据，然后检查：couponpress submit --dry-run 文件名",
    "确认无误后提交：couponpress submit 文件名",
    "有问题的行会写入另一个文件（文件名.errors.xlsx），并在 _problem 列说明原因；改好后可直接再次提交。",
)
#: Down to this row a column offers its choices.
LAST_ROW_WITH_CHOICES: Final = 10_000


def choices_of(header: str) -> tuple[str, ...]:
    """Return the words that a column with this Chinese header takes, by any of its names; none for other columns."""
    meaning = None if header.isascii() else meaning_of(header)
    return next((column.choices for column in COLUMNS if meaning and meaning_of(column.header) is meaning), ())


def write_template(path: Path) -> None:
    """Write the example as a workbook or as CSV, by the suffix; a file that is there already is left alone.

    Raises:
        CatalogError: it is there, cannot be written, or has another suffix.
    """
    writers = {".xlsx": _write_workbook, ".csv": _write_csv, ".tsv": _write_csv}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise CatalogError(
            gettext("a template ends in %(writers)s, not as %(path)s does.")
            % {"writers": joined(writers, ", "), "path": path}
        )
    if path.exists():
        raise CatalogError(
            gettext("%(path)s is there already; remove it, or name another file with -o.") % {"path": path}
        )
    try:
        write(path)
    except OSError as error:
        raise CatalogError(
            gettext("%(path)s cannot be written (%(reason)s); choose another place for it.")
            % {"path": path, "reason": system_error(error)}
        ) from None


def _lines() -> list[list[str]]:
    names = [column.header for column in COLUMNS]
    rows = [{"商品编号": f"示例-{number}", "品牌ID": _BRAND, **row} for number, row in enumerate(ROWS, 1)]
    return [names, *([row.get(name, "") for name in names] for row in rows)]


def _write_csv(path: Path) -> None:
    # The byte-order mark is how Excel knows UTF-8.
    with path.open("x", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",").writerows(_lines())


def _write_workbook(path: Path) -> None:
    try:
        from openpyxl import Workbook  # noqa: PLC0415 - an extra
        from openpyxl.styles import Alignment, Font  # noqa: PLC0415
        from openpyxl.utils import get_column_letter  # noqa: PLC0415
        from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415
    except ImportError:
        raise CatalogError(
            gettext(
                "a workbook needs openpyxl, which is not installed: pip install 'couponpress[excel]', or "
                "write %(path)s."
            )
            % {"path": path.with_suffix(".csv")}
        ) from None
    book = Workbook()
    sheet: Any = book.active
    sheet.title, sheet.freeze_panes = "优惠券", "A2"
    for line in _lines():
        sheet.append([cell or None for cell in line])
    for number, column in enumerate(COLUMNS, 1):
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].width = 50 if column.header == "商品图" else 16
        # As text nothing that is typed is changed: no long id, no 5-1 that becomes a date.
        sheet.column_dimensions[letter].number_format = "@"
        for row in sheet.iter_rows(min_col=number, max_col=number):
            row[0].number_format = "@"
        sheet.cell(1, number).font = Font(bold=True)
        if column.choices:
            choices = DataValidation("list", formula1=f'"{",".join(column.choices)}"', allow_blank=True)
            choices.add(f"{letter}2:{letter}{LAST_ROW_WITH_CHOICES}")
            sheet.add_data_validation(choices)
    explained: Any = book.create_sheet("说明")
    for line in (["列", "何时填写", "怎么填"], *([one.header, one.needed, one.explained] for one in COLUMNS)):
        explained.append(line)
    explained.append([])
    for note in _NOTES:
        explained.append([note])
    for letter, width in (("A", 14), ("B", 14), ("C", 90)):
        explained.column_dimensions[letter].width = width
        explained[f"{letter}1"].font = Font(bold=True)
    for row in explained.iter_rows(min_row=2, max_row=len(COLUMNS) + 1, min_col=3, max_col=3):
        row[0].alignment = Alignment(wrap_text=True)
    with path.open("xb") as file:
        book.save(file)
