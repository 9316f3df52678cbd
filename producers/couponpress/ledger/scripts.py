"""Where the Lua files are read: one function, so that a script's name is its file's name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def script(name: str) -> str:
    """Return the text of `name`.lua."""
    return files("couponpress.ledger").joinpath(f"{name}.lua").read_text(encoding="utf-8")
