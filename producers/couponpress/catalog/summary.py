"""What a person is told once about a catalog: which unit its amounts were read in, its first offer, and its sheet.

A wrong unit is hard to see in a column of numbers, and easy to see in the sentence "满1元减0.2元".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from couponpress.catalog.columns import MONEY_UNITS, Plan
from couponpress.catalog.rows import Row
from couponpress.compiled_spec import Request, request_of
from couponpress.language import gettext, gettext_noop, joined, quoted

#: How a body says that it is a head picture.
_HAS_OFFER: Final = b'"combine_image"'
_UNITS: Final[Mapping[str, str]] = {
    **MONEY_UNITS,
    "percent": gettext_noop("percent off or 折"),
}


def in_words(spec: Request) -> str:
    """Return what a spec offers, as a shop would say it; the amounts are in yuan."""
    combine = spec.combine_image
    if combine is None:
        return "抠图"
    if (normal := combine.normal_coupon) is not None:
        return f"{_threshold(normal.threshold)}减{_yuan(normal.discount_amount)}元"
    if (discount := combine.discount_coupon) is not None:
        return f"{_threshold(discount.threshold)}打{Decimal(100 - discount.percent_off) / 10:f}折"
    if (exchange := combine.exchange_coupon) is not None:
        return f"{_threshold(exchange.threshold)}换购价{_yuan(exchange.exchange_price)}元"
    return combine.scope


def _threshold(cents: int) -> str:
    return f"满{_yuan(cents)}元" if cents else "无门槛"


def _yuan(cents: int) -> str:
    return f"{Decimal(cents) / 100:f}"


class Summary:
    """What is told about one catalog.

    Attributes:
        sheet: the sheet that is read; empty unless the catalog is a workbook.
        other_sheets: the sheets that are not.
        hidden_columns: the headers of columns that are read, and that a person does not see.
        skipped_rows: how many hidden rows were left out.
        offer: the first good row with an offer in words, once there is one.
    """

    def __init__(self, plan: Plan | None, sheet: str = "", other_sheets: tuple[str, ...] = ()) -> None:
        self._plan = plan
        self.sheet, self.other_sheets = sheet, other_sheets
        self.hidden_columns: list[str] = []
        self.skipped_rows = 0
        self.offer: str | None = None
        self._has_rows = False

    def note(self, row: Row) -> None:
        """Take the offer of a good row, if it has one; a cut-out has none."""
        self._has_rows = True
        if _HAS_OFFER in row.serialized_spec.head + row.serialized_spec.tail:
            self.offer = gettext("line %(line)s is the offer %(in_words)s") % {
                "line": row.line,
                "in_words": in_words(request_of(row.serialized_spec)),
            }

    def lines(self) -> list[str]:
        """Return sentences for a report; at most five. Of units nothing is said where no row has an amount."""
        told = []
        if self.other_sheets:
            told.append(
                gettext("read is the sheet %(sheet)s; not read: %(other_sheets)s")
                % {"sheet": quoted(self.sheet), "other_sheets": joined(self.other_sheets[:8], ", ")}
            )
        if self.skipped_rows:
            told.append(gettext("hidden rows left out: %(skipped_rows)s") % {"skipped_rows": self.skipped_rows})
        if self.hidden_columns:
            told.append(
                gettext("hidden columns that are read: %(hidden_columns)s")
                % {"hidden_columns": joined(self.hidden_columns[:8], ", ")}
            )
        if (self.offer is not None or not self._has_rows) and (units := self._units()):
            told.append(gettext("amounts are read in %(units)s") % {"units": units})
        if self.offer is not None:
            told.append(self.offer)
        return told

    def _units(self) -> str:
        if self._plan is None:
            return gettext(_UNITS["cents"]) if self._has_rows else ""
        columns: dict[str, list[str]] = {}
        for field, unit in self._plan.units.items():
            columns.setdefault(unit, []).append(self._plan.column(field))
        told = gettext("%(unit)s: %(columns)s")
        units = ({"unit": gettext(_UNITS[unit]), "columns": joined(names)} for unit, names in columns.items())
        return joined((told % one for one in units), "; ")
