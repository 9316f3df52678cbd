"""The text of a mapping file is edited by lines, so that comments and order stay as a person wrote them.

Pure. A pair that the text has already is left alone or gets its new value in place; a new one goes to the end of its
part. Text that is written in another way than `name = "value"` below `[part]`, such as inline tables, is not edited.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Final

#: Part -> name -> text; the parts are `columns`, `fixed` and `words.FIELD`.
Parts = Mapping[str, Mapping[str, str]]

_PART: Final = re.compile(r"\s*\[(?P<name>[^\[\]]+)\]\s*(?:#.*)?")
_PAIR: Final = re.compile(
    r"""(?P<before>\s*(?P<name>"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*=\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*')(?P<behind>\s*(?:#.*)?)"""
)


class NotEditableError(ValueError):
    """A text that is no mapping, or is written in a way that cannot be edited by lines."""


def edited(text: str, parts: Parts) -> str:
    r"""Return the text with every pair of `parts` in it; what else it says stays.

    >>> edited('# ours\n[columns]\n"满" = "threshold"  # in cents\n', {"columns": {"满": "threshold_yuan"}})
    '# ours\n[columns]\n"满" = "threshold_yuan"  # in cents\n'

    Raises:
        NotEditableError: it cannot be edited.
    """
    wanted = {part: {**_read(text).get(part, {}), **pairs} for part, pairs in parts.items()}
    lines = text.splitlines()
    for part, pairs in parts.items():
        for name, value in pairs.items():
            _put(lines, part, name, value)
    made = "\n".join(lines) + "\n" if lines else ""
    found = _read(made)
    if any(found.get(part, {}) != pairs for part, pairs in wanted.items()):
        raise NotEditableError
    return made


def _put(lines: list[str], part: str, name: str, value: str) -> None:
    """Set one pair, in place."""
    inside, end = "", None
    for at, line in enumerate(lines):
        if found := _PART.fullmatch(line):
            inside = ".".join(_keys(found["name"]))
            end = at if inside == part else end
        elif inside == part and line.strip() and not line.lstrip().startswith("#"):
            end = at
            found = _PAIR.fullmatch(line)
            if found and _keys(found["name"]) == [name]:
                if _value(found["value"]) != value:
                    lines[at] = f"{found['before']}{_quoted(value)}{found['behind']}"
                return
    pair = f"{_quoted(name)} = {_quoted(value)}"
    if end is None:
        lines += ["", f"[{part}]", pair] if lines else [f"[{part}]", pair]
    else:
        lines.insert(end + 1, pair)


def _read(text: str) -> dict[str, dict[str, str]]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise NotEditableError from None
    parts = {name: part for name, part in raw.items() if name != "words"}
    words = raw.get("words", {})
    if isinstance(words, dict):
        parts |= {f"words.{name}": part for name, part in words.items()}
    if not all(isinstance(part, dict) for part in parts.values()):
        raise NotEditableError
    return parts


def _keys(text: str) -> list[str]:
    """Return the keys that a TOML key such as `words."scope"` is made of."""
    found: object
    try:
        found = tomllib.loads(f"{text} = 1")
    except tomllib.TOMLDecodeError:
        return []
    keys = []
    while isinstance(found, dict):
        key, found = next(iter(found.items()))
        keys.append(key)
    return keys


def _value(text: str) -> str:
    return str(tomllib.loads(f"value = {text}")["value"])


def _quoted(text: str) -> str:
    """A JSON text is a TOML text, but for the letter DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
