"""Says which known word a mistyped one may have meant (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from couponpress.language import gettext


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the nearest known word; empty when none is near.

    >>> did_you_mean("dingtlak", ["wecom", "dingtalk"])
    '; did you mean dingtalk?'
    """
    near = get_close_matches(str(given), list(known), 1)
    return gettext("; did you mean %(name)s?") % {"name": near[0]} if near else ""
