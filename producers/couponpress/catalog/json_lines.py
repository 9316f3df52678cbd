"""A line of JSON becomes a row: one request body per line, with the API's own field names.

Decides what counts as a JSON object here: no key twice, no NaN, numbers as they stand. Refuses to know files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from pydantic import ValidationError

from couponpress.catalog.rows import LINE, PROBLEM, BrokenRow, Row
from couponpress.errors import Problem, SpecError
from couponpress.spec import CombineImage, TaskSpec

#: In an error file: a line that was no JSON object, kept as it was. It can be mended in place.
TEXT: Final = "_text"

#: How many checked parts are remembered before all are forgotten, and how long a part's text may be.
_REMEMBERED: Final = 10_000
_LONGEST: Final = 500


class _UnreadableError(ValueError):
    """A line that is no JSON object; the message is the rule that it breaks."""


class JsonLines:
    """Turns the lines of one JSONL catalog into rows."""

    def __init__(self, *, strict: bool, row_prefix: str) -> None:
        self._strict = strict
        self._row_prefix = row_prefix
        self._known: dict[str, tuple[CombineImage, tuple[str, ...]]] = {}

    def rows(self, lines: Iterable[str]) -> Iterator[Row | BrokenRow]:
        """Turn lines into rows; blank lines are skipped."""
        for line, text in enumerate(lines, 1):
            if not text.isspace():
                yield self._row(line, text.rstrip("\r\n"))

    def _row(self, line: int, text: str) -> Row | BrokenRow:
        default_row_id = f"{self._row_prefix}{line}"
        try:
            raw = _object_of(text)
            default_row_id = str(raw.pop(LINE, default_row_id))
            raw.pop(PROBLEM, None)
            if TEXT in raw:
                text = str(raw.pop(TEXT))
                raw = _object_of(text)
        except _UnreadableError as error:
            return BrokenRow(line, default_row_id, text, (Problem("row", str(error), text),))
        given = dict(raw)
        if raw.get("row_id") is None and raw.get("task_id") is None:
            raw["row_id"] = default_row_id
        try:
            spec, notes = self._spec(raw)
        except SpecError as error:
            return BrokenRow(line, default_row_id, given, error.problems)
        return Row(line, given, spec, notes)

    def _spec(self, raw: dict[str, Any]) -> tuple[TaskSpec, tuple[str, ...]]:
        """Validate a request; a `combine_image` that was found good before is not looked into again."""
        combine = raw.get("combine_image")
        # Of plain JSON data the repr is exact: 1, 1.0 and True differ in it.
        key = repr(combine) if isinstance(combine, dict) and "cut_out" not in raw else ""
        if known := self._known.get(key):
            part, notes = known
            try:
                return TaskSpec.model_validate({**raw, "combine_image": part}), notes
            except ValidationError:
                pass  # `parse` says what is wrong
        spec, notes = TaskSpec.parse(raw, strict=self._strict)
        if key and len(key) <= _LONGEST and spec.combine_image is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = (spec.combine_image, notes)
        return spec, notes


def _object_of(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except _UnreadableError:
        raise
    except json.JSONDecodeError as error:
        raise _UnreadableError(f"is not JSON: {error.msg} at character {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise _UnreadableError(f"is not JSON that can be read: {error}") from None
    if not isinstance(found, dict):
        raise _UnreadableError("is not a JSON object: each line is one request body")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _UnreadableError(f"has the key {twice!r} twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise _UnreadableError(f"is not JSON: there is no {name} in it")
