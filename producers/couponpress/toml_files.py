"""Reads the TOML files that settings name; says what is wrong with one that cannot be read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from couponpress.errors import InputError, system_error
from couponpress.language import gettext
from couponpress.library_sentences import in_words as library_words


def read_toml(path: Path, setting: str, kind: type[InputError] = InputError) -> dict[str, Any]:
    """Return what a file holds. `setting` is the one that names it.

    Raises:
        InputError: it cannot be read, is not UTF-8 or no TOML; of the class given.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise kind(
            gettext("%(path)s cannot be read (%(reason)s); %(setting)s names it.")
            % {"path": path, "reason": system_error(error), "setting": setting}
        ) from None
    except UnicodeDecodeError:
        raise kind(gettext("%(path)s is not UTF-8; save it as UTF-8.") % {"path": path}) from None
    except tomllib.TOMLDecodeError as error:
        raise kind(gettext("%(path)s is no TOML: %(error)s.") % {"path": path, "error": library_words(error)}) from None
