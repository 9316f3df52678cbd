"""Says in words which rules of a request are broken, from what pydantic found (pure).

The words are the project's own where pydantic's would tell a person nothing. A rule that has no words here is told in
pydantic's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from couponpress.errors import Problem
from couponpress.language import current, gettext, gettext_noop, joined, ngettext
from couponpress.pydantic_sentences import rule_told

#: Rules whose pattern would tell a person nothing.
_PATTERN_IN_WORDS: Final[Mapping[object, str]] = {
    "task_id": gettext_noop("must be 6 to 40 digits, letters, _ or -"),
    "brand_id": gettext_noop("must be digits, letters, _ or -"),
    "background_color": gettext_noop("must be # and six hex digits, for example #ff5733"),
    "image_url": gettext_noop("must be a picture stored on https://wxpaylogo.qpic.cn/"),
}
#: Kinds of pydantic's errors -> the rule.
_IN_WORDS: Final[Mapping[str, str]] = {
    "missing": gettext_noop("is required"),
    "extra_forbidden": gettext_noop("is not a field of this request"),
    "int_type": gettext_noop("must be a valid integer"),
    "string_type": gettext_noop("must be a valid string"),
    "int_from_float": gettext_noop("must be a valid integer, got a number with a fractional part"),
    "model_type": gettext_noop("must be a valid dictionary or instance of %(class_name)s"),
}


def broken(field: str, rule: str, value: object = None) -> PydanticCustomError:
    """Return the error for a rule that spans several fields; a validator raises it."""
    return PydanticCustomError("broken_rule", "{field} {rule}", {"field": field, "rule": rule, "value": value})


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Turn a validation error into problems in this project's words, one for each broken rule."""
    problems = []
    for detail in error.errors(include_url=False):
        path = [str(step) for step in detail["loc"]]
        context = detail.get("ctx", {})
        if detail["type"] == "broken_rule":
            path.append(context["field"])
            problems.append(Problem(".".join(path), context["rule"], context["value"]))
        else:
            value = None if detail["type"] == "missing" else detail["input"]
            problems.append(Problem(".".join(path), rule_in_words(detail), value))
    return tuple(problems)


def rule_in_words(detail: Mapping[str, Any]) -> str:
    """Return which rule a detail of a validation error says is broken."""
    kind, context = detail["type"], detail.get("ctx", {})
    field = detail["loc"][-1] if detail["loc"] else ""
    if kind == "string_pattern_mismatch" and field in _PATTERN_IN_WORDS:
        return gettext(_PATTERN_IN_WORDS[field])
    if kind in _IN_WORDS:
        return str(gettext(_IN_WORDS[kind]) % context)
    if kind == "literal_error":
        return gettext("must be %(words)s") % {"words": _alternatives(context["expected"])}
    if kind in {"greater_than_equal", "less_than_equal"}:
        return _bound(field, context["ge"] if "ge" in context else context["le"], at_least="ge" in context)
    return _length(context) or rule_told(str(detail["msg"]))


def _alternatives(expected: str) -> str:
    """Return pydantic's list of allowed words, as `'ALL' or 'SINGLE'`, in the current language."""
    if current() == "en":
        return expected
    *others, last = re.findall(r"'([^']*)'", expected)
    return gettext("%(words)s or %(last)s") % {"words": joined(others), "last": last} if others else last


def _bound(field: object, limit: int, *, at_least: bool) -> str:
    if field == "percent_off":
        least = gettext("must be greater than or equal to %(percent)s")
        most = gettext("must be less than or equal to %(percent)s")
        return (least if at_least else most) % {"percent": limit}
    yuan = str(limit) if current() == "en" else f"{Decimal(limit) / 100:f}"
    least = gettext("must be greater than or equal to %(amount)s")
    most = gettext("must be less than or equal to %(amount)s")
    return (least if at_least else most) % {"amount": yuan}


def _length(context: Mapping[str, Any]) -> str:
    if (least := context.get("min_length")) is not None:
        told = ngettext("must have at least %(number)s character", "must have at least %(number)s characters", least)
        return told % {"number": least}
    if (most := context.get("max_length")) is not None:
        told = ngettext("must have at most %(number)s character", "must have at most %(number)s characters", most)
        return told % {"number": most}
    return ""
