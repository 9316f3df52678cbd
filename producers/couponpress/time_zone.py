"""Tells in which time zone moments are shown, once beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from couponpress.language import gettext


def offset_seconds() -> int:
    """Return how far this process's time zone is east of UTC now, in seconds."""
    return round((datetime.now(UTC).astimezone().utcoffset() or timedelta()).total_seconds())


def offset() -> str:
    """Return how far this process's time zone is from UTC now, such as `UTC+08:00`."""
    told = f"{datetime.now(UTC).astimezone():%z}"
    return f"UTC{told[:3]}:{told[3:5]}"


def told_zone() -> str:
    """Return a line for people that says in which time zone moments stand."""
    return gettext("Times are in %(offset)s.") % {"offset": offset()}
