"""Reads how long something lasts, or until when: `30m`, `1h30m`, `06:00`, `2026-11-30T06:00` (pure)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from couponpress.errors import InputError
from couponpress.language import gettext, quoted

#: A hold or a limit that ends by itself does so within a year.
LONGEST = timedelta(days=366)
_DAY_TIME = re.compile(r"\d{1,2}:\d{2}", re.ASCII)
_LENGTH = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", re.ASCII)


def read_length(text: str) -> timedelta:
    """Return a length of time.

    >>> read_length("1h30m").total_seconds()
    5400.0

    Raises:
        InputError: it is none, or not between a second and a year.
    """
    found = _LENGTH.fullmatch(text.strip().lower())
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta() < length <= LONGEST:
        raise InputError(
            gettext("a length of time looks like 30m, 2h or 1d12h, up to 366d; got %(text)s.") % {"text": quoted(text)}
        )
    return length


def read_past(text: str, now: datetime) -> datetime:
    """Return a moment up to `now`: a length of time means so long ago, a time of the day the latest such time.

    Raises:
        InputError: it is none.
    """
    text = text.strip()
    if re.fullmatch("[0-9dhms]+", text):
        return now - read_length(text)
    try:
        moment = _moment(text, now)
    except ValueError:
        raise InputError(
            gettext("a moment looks like 06:00, 2026-11-30T06:00 or 2d (two days ago), got %(text)s.")
            % {"text": quoted(text)}
        ) from None
    return moment - timedelta(days=1) if _DAY_TIME.fullmatch(text) and moment > now else moment


def read_end(until: str | None, lasting: str | None, now: datetime) -> datetime | timedelta | None:
    """Return the end that a person gave as a moment or as a length of time; None if neither was given.

    Raises:
        InputError: both were given, or one of them is none.
    """
    if until is not None and lasting is not None:
        raise InputError(gettext("say until when or for how long, not both."))
    if until is not None:
        return read_moment(until, now)
    return None if lasting is None else read_length(lasting)


def read_moment(text: str, now: datetime) -> datetime:
    """Return a moment after `now`: a time of the day means the next such time, in the time zone of `now`.

    Raises:
        InputError: it is none, or not within a year from now.
    """
    text = text.strip()
    try:
        moment = _moment(text, now)
    except ValueError:
        raise InputError(
            gettext("a moment looks like 06:00 or 2026-11-30T06:00, got %(text)s.") % {"text": quoted(text)}
        ) from None
    if _DAY_TIME.fullmatch(text) and moment <= now:
        moment += timedelta(days=1)
    if not timedelta() < moment - now <= LONGEST:
        raise InputError(
            gettext("%(text)s is not within a year from now; give a moment that lies ahead.") % {"text": text}
        )
    return moment


def _moment(text: str, now: datetime) -> datetime:
    if _DAY_TIME.fullmatch(text):
        hour, minute = map(int, text.split(":"))
        return now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
