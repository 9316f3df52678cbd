"""Templates of the console, and how numbers, moments and spans are written in the viewer's language."""

from __future__ import annotations

import hashlib
import re
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from couponpress import plurals
from couponpress.language import current, gettext, ngettext
from couponpress.stored_sentences import in_words
from couponpress.time_zone import offset_seconds

HOME = Path(__file__).parent
STATIC = HOME / "static"
_BACKTICKS = re.compile("`([^`]+)`")


@cache
def static_version(name: str) -> str:
    """Return a short digest of a static file, so that a browser may keep it for ever."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def number(value: float | None) -> str:
    """Return a count with its thousands apart; a dash for none."""
    return "–" if value is None else f"{value:,.0f}"


def moment(seconds: float | None) -> str:
    """Return a moment by the clock of this machine, with the date unless it is today; a dash for none."""
    if not seconds:
        return "–"
    at = datetime.fromtimestamp(seconds, UTC).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{at:%H:%M:%S}" if at.date() == today else f"{at:%Y-%m-%d %H:%M:%S}"


def exact_moment(seconds: float) -> str:
    """Return a moment with its date and its milliseconds, by the clock of this machine."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3]


def with_code(told: str) -> Markup:
    """Return a sentence as HTML, escaped, with what stands between backticks as code."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(told))))  # noqa: S704 - escaped before


def span(seconds: float | None) -> str:
    """Return a time in words, in the viewer's language; a dash for none."""
    return "–" if seconds is None else plurals.span(max(0, round(seconds)))


def ago(seconds: float | None) -> str:
    """Return how long ago a moment is."""
    return "–" if not seconds else gettext("%(span)s ago") % {"span": span(time.time() - seconds)}


def size(count: float | None) -> str:
    """Return a number of bytes in MB or GB."""
    if count is None:
        return "–"
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def share(part: float, whole: float) -> str:
    """Return a part in percent, without rounding up to the whole."""
    return "0 %" if not whole else f"{int(part * 1000 / whole) / 10:g} %"


def environment() -> Environment:
    """Return the templates' environment: every value is escaped, an unknown name is an error."""
    made = Environment(
        loader=FileSystemLoader(HOME / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    install: Any = made
    install.install_gettext_callables(gettext, ngettext, newstyle=True)
    made.filters |= {"number": number, "moment": moment, "span": span, "ago": ago, "size": size, "in_words": in_words}
    made.filters |= {"exact_moment": exact_moment, "with_code": with_code}
    made.globals |= {
        "share": share,
        "static_version": static_version,
        "offset_seconds": offset_seconds,
        "language": current,
    }
    return made
