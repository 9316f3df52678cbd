"""Reads one row of a table cell by cell: which fields its type uses, and which cells cannot be read.

A row uses the columns of its own type. What stands in another type's column is a stray; `moved` tells those that a
number with a comma and no quotes may have moved there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from couponpress.catalog.cells import CellError
from couponpress.catalog.columns import Plan
from couponpress.catalog.vocabulary import as_in_file
from couponpress.errors import Problem
from couponpress.language import gettext
from couponpress.spec import RULE_OF_TYPE, DiscountCoupon, ExchangeCoupon, NormalCoupon

RULE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "NORMAL": tuple(NormalCoupon.model_fields),
    "DISCOUNT": tuple(DiscountCoupon.model_fields),
    "EXCHANGE": tuple(ExchangeCoupon.model_fields),
}
#: The fields whose cells hold words: they decide which of the other cells a row uses.
WORD_FIELDS: Final = ("image_generation_type", "scope", "type", "usage_mode")
_COMBINE_FIELDS: Final = ("scope", "type", "usage_mode", "background_color")
#: The cells that make an offer; everything of a head picture but its brand and ids.
OFFER_FIELDS: Final = (*_COMBINE_FIELDS, *dict.fromkeys(name for names in RULE_FIELDS.values() for name in names))
#: The halves of a number with a comma and no quotes.
_BEFORE_COMMA: Final = re.compile(r"[1-9][0-9]{0,2}").fullmatch
_BEHIND_COMMA: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,2})?").fullmatch
MONEY_FIELDS: Final = ("threshold", "discount_amount", "exchange_price")


class RowReading:
    """One row that is read cell by cell.

    Attributes:
        problems: the cells that could not be read, each with its rule.
        unread: their fields.
        used: the fields that the row's type uses.
        type: the coupon type, or CUT_OUT; empty while it is not known.
    """

    def __init__(self, plan: Plan, given: Mapping[str, str]) -> None:
        self._plan = plan
        self._given = given
        self.problems: list[Problem] = []
        self.unread: set[str] = set()
        self.used: set[str] = set()
        self.type = ""

    def request(self) -> dict[str, Any]:
        """Return the request's nested form, without the ids."""
        kind = self._image_generation_type()
        raw: dict[str, Any] = {"image_generation_type": kind}
        if kind == "CUT_OUT":
            self.type = "CUT_OUT"
            raw["cut_out"] = self._take(("image_url",))
        elif kind == "COMBINE_IMAGE":
            raw["combine_image"] = combine = self._take(_COMBINE_FIELDS)
            if "usage_mode" not in self._plan.position:
                combine["usage_mode"] = "SINGLE"
            coupon_type = combine.get("type", "")
            if coupon_type in RULE_OF_TYPE:
                self.type = coupon_type
                combine[RULE_OF_TYPE[coupon_type]] = self._take(RULE_FIELDS[coupon_type])
        return raw

    def strays(self) -> list[tuple[str, str]]:
        """Return the fields that belong to another type, each with the rule; none while no type is known."""
        if not self.type:
            return []
        rule = gettext("has no place in a %(type)s row") % {"type": self.type}
        rule = as_in_file(self._plan.column("type"), "type", rule)
        return [(name, rule) for name in (*OFFER_FIELDS, "image_url") if name in self._given and name not in self.used]

    def moved(self) -> list[tuple[str, str]]:
        """Return strays that a comma within the cell before them may have moved, as 299 of 1,299, each with the rule.

        A leftover of another type is seldom greater than the amount before it, and can be read.
        """
        rule = gettext("may be the end of a number with a comma, which needs quotes around it")
        fields = {at: name for name, at in self._plan.position.items() if name in self.used and name in MONEY_FIELDS}
        before = {name: fields.get(self._plan.position[name] - 1, "") for name, _ in self.strays()}
        return [(name, rule) for name, other in before.items() if self._is_end_of(self._given.get(other, ""), name)]

    def _is_end_of(self, before: str, name: str) -> bool:
        if not _BEFORE_COMMA(before) or not _BEHIND_COMMA(behind := self._given[name]):
            return False
        if len(behind.partition(".")[0]) == 3 and (behind.startswith("0") or Decimal(behind) > Decimal(before)):
            return True
        try:
            self._plan.reader[name](behind)
        except CellError:
            return True  # 90 of 9,90 under 折扣, where a bare number says nothing
        return False

    def _image_generation_type(self) -> object:
        if "image_generation_type" in self._plan.position:
            return self._take(("image_generation_type",)).get("image_generation_type")
        only_a_picture = "image_url" in self._given and not any(name in self._given for name in OFFER_FIELDS)
        return "CUT_OUT" if only_a_picture else "COMBINE_IMAGE"

    def _take(self, names: Iterable[str]) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for name in names:
            self.used.add(name)
            if name in self._given:
                try:
                    taken[name] = self._plan.reader[name](self._given[name])
                except CellError as error:
                    self.unread.add(name)
                    self.problems.append(Problem(self._plan.column(name), str(error), self._given[name]))
        return taken
