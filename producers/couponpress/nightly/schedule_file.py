"""Reads the TOML file of schedules, one table `[schedule.NAME]` for each.

Reports all mistakes of the file at once, each with the schedule's name and what is allowed. The sources that it names
are not opened: their files may arrive later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from couponpress import catalog
from couponpress.broken_rules import rule_in_words
from couponpress.catalog.encodings import encoding_called
from couponpress.errors import InputError
from couponpress.keys import Lane
from couponpress.language import gettext, joined, quoted
from couponpress.nightly.plan import Answer
from couponpress.notify.target_file import read_tables
from couponpress.pydantic_sentences import rule_told
from couponpress.settings import checked_hook_url
from couponpress.suggestion import did_you_mean
from couponpress.toml_files import read_toml

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_DURATION = re.compile(r"(?:(\d{1,3})\s*h)?\s*(?:(\d{1,4})\s*m(?:in)?)?", re.IGNORECASE)
#: Claims of nights are remembered for longer than this, so that none that is started late can be started twice.
_LONGEST_GRACE: Final = timedelta(days=7)


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            gettext("%(text)s has %(fields)s fields; it must have five: minute hour day month weekday")
            % {"text": quoted(text), "fields": len(fields)}
        )
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise ValueError(
            gettext('%(text)s: the %(field)s is wrong; `"30 2 * * *"` is every night at 02:30')
            % {"text": quoted(text), "field": field}
        ) from None
    except StopIteration:
        raise ValueError(gettext("%(text)s never comes") % {"text": quoted(text)}) from None
    return text


def _zone(name: str) -> ZoneInfo:
    if name not in (known := available_timezones()):
        raise ValueError(
            gettext("%(name)s is no time zone%(suggestion)s one looks like Asia/Shanghai")
            % {"name": quoted(name), "suggestion": did_you_mean(name, known) or gettext(";")}
        )
    return ZoneInfo(name)


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip())
    length = timedelta(hours=int(found[1] or 0), minutes=int(found[2] or 0)) if found else None
    if not length:
        raise ValueError(
            gettext("%(text)s is no length of time; one looks like 4h, 90m or 1h30m") % {"text": quoted(text)}
        )
    return length


def _grace(text: str) -> timedelta:
    if (grace := _duration(text)) > _LONGEST_GRACE:
        raise ValueError(gettext("must be at most 168h"))
    return grace


def _deadline(given: object) -> object:
    """Read a wall time or a length of time; TOML has a type of its own for the first."""
    if not isinstance(given, str):
        return given
    if found := re.fullmatch(r"(\d{1,2}):(\d{2})", given.strip()):
        try:
            return time(int(found[1]), int(found[2]))
        except ValueError:
            raise ValueError(
                gettext("%(given)s is no time of the day; one looks like 06:00") % {"given": quoted(given)}
            ) from None
    try:
        return _duration(given)
    except ValueError:
        raise ValueError(
            gettext("%(given)s is neither a time of the day, such as 06:00, nor a length, such as 4h")
            % {"given": quoted(given)}
        ) from None


def _source(given: object) -> object:
    patterns = [given] if isinstance(given, str) else given
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) and one for one in patterns):
        raise ValueError(gettext('must be a file, a glob, a list of them, or a callable "package.module:function"'))
    if len(patterns) > 1 and any(map(_CALLABLE.fullmatch, patterns)):
        raise ValueError(gettext("a callable stands alone, not in a list"))
    return tuple(patterns)


def _texts(given: object) -> object:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(one, str) and one for one in texts):
        raise ValueError(gettext('must be a text such as "NULL", or a list of them'))
    return tuple(texts)


def _format(name: str) -> str:
    if name not in (known := sorted(set(catalog.FORMATS.values()))):
        raise ValueError(
            gettext("%(name)s is no format; there are %(known)s") % {"name": quoted(name), "known": joined(known)}
        )
    return name


def _encoding(name: str) -> str:
    if encoding_called(name) is None:
        raise ValueError(
            gettext("%(name)s is no encoding of catalogs; they are utf-8 or gb18030") % {"name": quoted(name)}
        )
    return name


class Schedule(BaseModel):
    """What is submitted when; docs/nightly.md describes each key."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, strict=True)

    name: str
    cron: Annotated[str, AfterValidator(_cron)]
    time_zone: Annotated[ZoneInfo, BeforeValidator(lambda name: _zone(str(name)))]
    source: Annotated[tuple[str, ...], BeforeValidator(_source)]
    lane: Lane = "bulk"
    deadline: Annotated[time | timedelta | None, BeforeValidator(_deadline)] = None
    grace: Annotated[timedelta, BeforeValidator(lambda text: _grace(str(text)))] = timedelta(hours=1)
    diff: bool = True
    on_overlap: Answer = "queue"
    on_late: Answer = "queue"
    hook: Annotated[str, AfterValidator(checked_hook_url)] | None = None
    format: Annotated[str, AfterValidator(_format)] | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    sheet: Annotated[str, Field(min_length=1)] | None = None
    header_row: Annotated[int, Field(ge=1)] | None = None
    skip_hidden: bool = False
    empty: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    mapping: Annotated[str, Field(min_length=1)] | None = None
    strict: bool = False
    upload: bool = True
    convert: bool = False
    private_urls: bool = False

    @property
    def function(self) -> str | None:
        """The callable that gives its rows, as `package.module:function`; None when they come from files."""
        return self.source[0] if _CALLABLE.fullmatch(self.source[0]) else None


#: The keys of a schedule's table.
KEYS: Final = tuple(name for name in Schedule.model_fields if name != "name")
#: Those of them that say how a file is read.
_OF_FILES: Final = ("format", "encoding", "sheet", "header_row", "skip_hidden", "empty", "mapping")


@dataclass(frozen=True, slots=True)
class ScheduleFile:
    """A schedule file that was read.

    Attributes:
        path: where it is; the globs in it are looked up from its folder.
        schedules: what it says, by name.
    """

    path: Path
    schedules: dict[str, Schedule]

    def schedule(self, name: str) -> Schedule:
        """Return the schedule of that name.

        Raises:
            InputError: there is none.
        """
        if name not in self.schedules:
            there = joined(self.schedules)
            raise InputError(
                gettext("%(path)s has no schedule %(name)s%(suggestion)s there are: %(there)s.")
                % {
                    "path": self.path,
                    "name": quoted(name),
                    "suggestion": did_you_mean(name, self.schedules) or gettext(";"),
                    "there": there,
                }
            )
        return self.schedules[name]


def read_schedules(path: Path) -> ScheduleFile:
    """Read a schedule file.

    Raises:
        InputError: it cannot be read, or something in it is wrong; every such thing is named.
    """
    told = read_toml(path, "COUPONPRESS_SCHEDULE_FILE")
    schedules: dict[str, Schedule] = {}
    problems = [
        gettext("%(name)s is not a part of a schedule file; it holds tables [schedule.NAME]") % {"name": quoted(name)}
        for name in told
        if name not in {"schedule", "notify"}
    ]
    problems += read_tables(told.get("notify", []))[1]
    tables = told.get("schedule", {})
    if not isinstance(tables, dict) or not (tables or problems):
        problems.append(gettext("it holds no schedule; one is a table [schedule.NAME]"))
        tables = {}
    for name, table in tables.items():
        found = _schedule(name, table)
        if isinstance(found, Schedule):
            schedules[name] = found
        else:
            problems += [f"[schedule.{name}] {problem}" for problem in found]
    if problems:
        raise InputError(
            gettext("the schedule file %(path)s cannot be used:\n  %(problems)s")
            % {"path": path, "problems": "\n  ".join(problems)}
        )
    return ScheduleFile(path, schedules)


def _schedule(name: str, table: object) -> Schedule | list[str]:
    if not _NAME.fullmatch(name):
        return [gettext("a schedule's name is 1 to 40 letters, digits, _ or -, beginning with a letter or a digit")]
    if not isinstance(table, dict):
        return [gettext("is no table; write [schedule.%(name)s] and its keys below") % {"name": name}]
    allowed = gettext("allowed are %(keys)s") % {"keys": joined(KEYS)}
    strange = [key for key in table if key not in KEYS]
    unknown = [
        gettext("%(key)s is not a key of a schedule%(suggestion)s %(allowed)s")
        % {"key": quoted(key), "suggestion": did_you_mean(key, KEYS) or gettext(";"), "allowed": allowed}
        for key in strange
    ]
    try:
        schedule = Schedule(**{**{key: table[key] for key in table if key in KEYS}, "name": name})
    except ValidationError as error:
        return unknown + list(_sentences(error))
    if schedule.function:
        given = (key for key in _OF_FILES if key in table)
        unknown += [
            gettext("%(key)s: a callable gives requests, not a file; leave it out") % {"key": key} for key in given
        ]
    return unknown or schedule


def _sentences(error: ValidationError) -> Iterator[str]:
    told: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0])
        rule = rule_in_words(detail) if detail["type"] == "literal_error" else rule_told(detail["msg"])
        told[key] = gettext("is required") if detail["type"] == "missing" else _got(rule, detail)
    yield from (f"{key}: {rule}" for key, rule in told.items())


def _got(rule: str, detail: Any) -> str:  # noqa: ANN401 - pydantic's own
    return (
        rule
        if detail["type"] == "value_error"
        else gettext("%(rule)s, got %(value)s")
        % {
            "rule": rule,
            "value": quoted(detail["input"]),
        }
    )
