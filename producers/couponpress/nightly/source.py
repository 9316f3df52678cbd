"""Reads a night's rows from files that a glob finds, or from a Python callable.

Good rows become serialized specs; broken rows are counted and reported. Files are read and callables run in the process
that starts the night.
"""

from __future__ import annotations

import glob
import importlib
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from couponpress.catalog import HeaderMapping, MerchantPictures
from couponpress.errors import InputError, SpecError
from couponpress.language import gettext, quoted
from couponpress.library_sentences import in_words as library_words
from couponpress.nightly.schedule_file import Schedule
from couponpress.plurals import counted
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec
from couponpress.uploads.catalog_upload import CatalogUpload

#: How many broken rows of a callable are told in full.
_TOLD = 5
#: What is written beside catalogs, broken rows and rows with outcomes, is no catalog.
_WRITTEN_FILE = re.compile(r"\.(errors|results)\.\w+$")


class Rows(Protocol):
    """A night's rows, to be read once.

    Attributes:
        good: how many can be submitted, so far.
        broken: how many cannot.
    """

    good: int
    broken: int

    def specs(self) -> Generator[SerializedSpec, None, None]:
        """Yield the good rows."""

    def report(self) -> str:
        """Return what a person should know about them, in a few lines."""


def rows_of(schedule: Schedule, folder: Path) -> Rows:
    """Open the source of a schedule; globs and the mapping are looked up from `folder`.

    Raises:
        InputError: no file is found, a catalog or the mapping cannot be read as a whole, or the callable cannot be had.
    """
    if schedule.function is not None:
        return GivenRows(schedule.name, schedule.function, strict=schedule.strict)
    upload = CatalogUpload(
        files_of(schedule, folder),
        format_name=schedule.format,
        encoding=schedule.encoding,
        sheet=schedule.sheet,
        headers=_headers_of(schedule, folder),
        header_row=schedule.header_row,
        skip_hidden=schedule.skip_hidden,
        empty=schedule.empty,
        strict=schedule.strict,
        pictures=MerchantPictures("find" if schedule.upload else "refuse"),
    )
    upload.check()
    return upload


def trouble_of(schedule: Schedule, folder: Path) -> str | None:
    """Return why the source could not be opened just now; None when it could. Nothing of it is read."""
    try:
        if schedule.function is None:
            files_of(schedule, folder)
            _headers_of(schedule, folder)
        else:
            GivenRows(schedule.name, schedule.function, strict=schedule.strict)
    except InputError as error:
        return str(error)
    return None


def files_of(schedule: Schedule, folder: Path) -> list[str]:
    """Return the files of a schedule, sorted by name within each glob.

    Raises:
        InputError: a glob finds none.
    """
    files: list[str] = []
    for pattern in schedule.source:
        whole = Path(glob.escape(str(folder))) / pattern
        found = sorted(glob.glob(str(whole), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        catalogs = [name for name in found if Path(name).is_file() and not _WRITTEN_FILE.search(name)]
        if not catalogs:
            raise InputError(
                gettext(
                    "[schedule.%(name)s] source: no file matches %(pattern)s from %(folder)s on this machine; put the "
                    "catalog there, or correct the glob."
                )
                % {"name": schedule.name, "pattern": quoted(pattern), "folder": folder}
            )
        files += catalogs
    return list(dict.fromkeys(files))


def _headers_of(schedule: Schedule, folder: Path) -> HeaderMapping | None:
    return HeaderMapping.load(folder / schedule.mapping) if schedule.mapping else None


class GivenRows:
    """Rows that a callable gives: TaskSpecs, or request bodies as mappings."""

    def __init__(self, schedule: str, function: str, *, strict: bool) -> None:
        """Import the callable, `package.module:function`.

        Raises:
            InputError: there is none such.
        """
        self._where = f"[schedule.{schedule}] source {function}"
        self._strict = strict
        self._problems: list[str] = []
        self.good = self.broken = 0
        module, _, name = function.partition(":")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            raise InputError(
                gettext("%(where)s cannot be imported (%(reason)s); is it in PYTHONPATH?")
                % {"where": self._where, "reason": library_words(error)}
            ) from None
        if not callable(found):
            raise InputError(
                gettext("%(where)s: %(module)s has no function %(name)s.")
                % {"where": self._where, "module": module, "name": quoted(name)}
            )
        self._function = cast(Callable[[], Iterable[TaskSpec | Mapping[str, Any]]], found)

    def specs(self) -> Generator[SerializedSpec, None, None]:
        """Yield the good rows.

        Raises:
            InputError: with strict: at least one row is broken; said at the end.
        """
        for number, given in enumerate(self._function(), 1):
            try:
                spec = given if isinstance(given, TaskSpec) else TaskSpec.parse(given)[0]
            except (SpecError, TypeError, AttributeError) as error:  # one that is no mapping has no fields
                self.broken += 1
                self._problems += (
                    [gettext("row %(number)s: %(error)s") % {"number": number, "error": error}]
                    if self.broken <= _TOLD
                    else []
                )
                continue
            self.good += 1
            yield SerializedSpec.of(spec)
        if self._strict and self.broken:
            raise InputError(
                gettext("%(where)s: %(report)s; nothing was enqueued.")
                % {"where": self._where, "report": self.report()}
            )

    def report(self) -> str:
        """Return how many rows there were, and the first that were broken."""
        told = [counted(self.good, "good row") + (f", {counted(self.broken, 'broken one')}" if self.broken else "")]
        return "\n".join(told + self._problems)
