"""Makes the names of a run and of an error file from a catalog's file name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from couponpress import catalog
from couponpress.errors import InputError
from couponpress.language import gettext

#: What the name of an error file has behind that of its catalog.
ERRORS = ".errors"
#: What the name of a file of rows with their outcomes has there.
RESULTS = ".results"
#: Excel takes none of these letters in a sheet's name; other programs may.
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


def default_run_name(files: Sequence[str]) -> str:
    """Return the first file's stem, so that the same catalog is the same run.

    An error file belongs to the run of its catalog.

    >>> default_run_name(["may.csv"]), default_run_name(["may.errors.csv"])
    ('may', 'may')

    Raises:
        InputError: it comes from standard input, which has no name.
    """
    if files[0] == "-":
        raise InputError(gettext("a catalog from standard input has no name: say --run NAME."))
    stem = Path(files[0]).stem
    while stem.endswith(ERRORS) and stem != ERRORS:
        stem = stem.removesuffix(ERRORS)
    return stem


def error_path(one: catalog.Catalog, part: catalog.Part | None = None) -> Path:
    """Return the default path of a catalog's error file: beside the catalog."""
    return _beside(one, ERRORS, part)


def results_path(one: catalog.Catalog, part: catalog.Part | None = None) -> Path:
    """Return where the rows with their outcomes go when nobody says: beside the catalog."""
    return _beside(one, RESULTS, part)


def _beside(one: catalog.Catalog, what: str, part: catalog.Part | None) -> Path:
    """Return a name beside the catalog's own; that of one of several sheets has the sheet's name in it."""
    if one.path is None:
        return Path(f"stdin{what}.{one.format}")
    sheet = f".{_NOT_IN_NAMES.sub('_', one.sheet)}" if part is not None and part.is_sheet else ""
    suffix = ".xlsx" if one.format == "xlsx" else one.path.suffix  # .xlsm promises macros
    return one.path.with_name(f"{one.path.stem}{sheet}{what}{suffix}")
