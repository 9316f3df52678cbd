"""Counts with their nouns and spans of time, as a person reads them: `1 row`, `2 rows`, `10 min 33 s` (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from couponpress.language import current, gettext, gettext_noop

#: What is counted in sentences for people; other languages have a form for each.
_COUNTED: Final[Mapping[str, str]] = {
    "spec": gettext_noop("%(number)s specs"),
    "run": gettext_noop("%(number)s runs"),
    "request": gettext_noop("%(number)s requests"),
    "failed spec": gettext_noop("%(number)s failed specs"),
    "more chunk": gettext_noop("%(number)s more chunks"),
    "message": gettext_noop("%(number)s messages"),
    "good row": gettext_noop("%(number)s good rows"),
    "broken row": gettext_noop("%(number)s broken rows"),
    "broken one": gettext_noop("%(number)s broken ones"),
    "line": gettext_noop("%(number)s lines"),
    "spec has none (yet)": gettext_noop("%(number)s specs have none (yet)"),
    "older run": gettext_noop("%(number)s older runs"),
    "row": gettext_noop("%(number)s rows"),
    "try": gettext_noop("%(number)s tries"),
    "picture": gettext_noop("%(number)s pictures"),
    "more scope": gettext_noop("%(number)s more scopes"),
    "chunk": gettext_noop("%(number)s chunks"),
    "message that was no hint": gettext_noop("%(number)s messages that were no hints"),
    "worker": gettext_noop("%(number)s workers"),
    "scheduler": gettext_noop("%(number)s schedulers"),
    "callback receiver": gettext_noop("%(number)s callback receivers"),
    "gateway": gettext_noop("%(number)s gateways"),
    "query": gettext_noop("%(number)s queries"),
    "older event": gettext_noop("%(number)s older events"),
}


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun; thousands are set off by commas.

    Args:
        number: how many.
        one: what there is one of, such as `good row`.
        many: the same for several, where it is not `one` with an s.

    >>> counted(1, "spec"), counted(0, "spec"), counted(12000, "picture"), counted(2, "query", "queries")
    ('1 spec', '0 specs', '12,000 pictures', '2 queries')
    """
    if current() != "en" and one in _COUNTED:
        return gettext(_COUNTED[one]) % {"number": f"{number:,}"}
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(seconds: int) -> str:
    """Return a time in words.

    >>> span(84), span(633), span(7325), span(260_000)
    ('84 s', '10 min 33 s', '2 h 2 min', '3 days')
    """
    if seconds < 120:
        return gettext("%(seconds)s s") % {"seconds": seconds}
    if seconds < 3600:
        return gettext("%(minutes)s min %(seconds)s s") % {"minutes": seconds // 60, "seconds": seconds % 60}
    if seconds < 48 * 3600:
        return gettext("%(hours)s h %(minutes)s min") % {"hours": seconds // 3600, "minutes": seconds % 3600 // 60}
    return gettext("%(days)s days") % {"days": seconds // 86400}
