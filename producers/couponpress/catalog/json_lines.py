"""A line of JSON becomes a row: one request body per line, with the API's own field names.

A line is broken when it is no JSON object, has a key twice, holds NaN, or nests deeper than any request does. A file
that holds one JSON array, one object over several lines, or one object around the list of rows is refused as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from couponpress.catalog.cells import CellError, visible
from couponpress.catalog.ids import check_id, is_plain_id
from couponpress.catalog.merchant_pictures import PicturesOfCatalog
from couponpress.catalog.rows import LINE, PROBLEM, RESULT, BrokenRow, Row
from couponpress.compiled_spec import SpecChecker
from couponpress.errors import CatalogError, Problem, SpecError
from couponpress.language import gettext, quoted
from couponpress.library_sentences import in_words as library_words
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec

#: In an error file: a line that was no JSON object, kept as it was. It can be mended in place.
TEXT: Final = "_text"

#: The ids of a row.
_OWN: Final = ("row_id", "task_id", "brand_id")
#: No request nests deeper than 4; samples with more around them still read.
_DEEPEST: Final = 50
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_TEXTS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?')
#: A request has one of these.
_MARKS: Final = frozenset({*_OWN, "image_generation_type", LINE, TEXT})
#: The list of rows stands at most so deep in an object that holds it, as in {"data": {"list": [...]}}.
_DEEPEST_WRAPPER: Final = 3
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARRAY: Final = re.compile(r"\[\s*(?:$|\{)")
#: Makes a row in two thirds of the time that its class takes.
_made: Final = tuple.__new__


class _UnreadableError(ValueError):
    """A line that is no JSON object; the message is the rule that it breaks."""


class JsonLines:
    """Turns the lines of one JSONL catalog into rows."""

    def __init__(self, name: str, *, strict: bool, row_prefix: str, pictures: PicturesOfCatalog | None = None) -> None:
        self._name = name
        self._strict = strict
        self._row_prefix = row_prefix
        self._checker = SpecChecker(strict=strict, is_id=_is_id)
        self._pictures = pictures

    def rows(self, lines: Iterable[str]) -> Iterator[Row | BrokenRow]:
        """Turn lines into rows; blank lines are skipped.

        Raises:
            CatalogError: the first line shows that the file is JSON, but not one request per line.
        """
        prefix, check, is_first = self._row_prefix, self._checker.of_json, True
        for line, text in enumerate(lines, 1):
            default_row_id = f"{prefix}{line}"
            checked = check(text, default_row_id)
            if checked is not None:
                yield _made(Row, (line, text, *checked, default_row_id))
            elif text.isspace():
                continue
            else:
                if is_first:
                    _check_first(text, self._name)
                yield self._row(line, text.rstrip("\r\n"))
            is_first = False

    def _row(self, line: int, text: str) -> Row | BrokenRow:
        default_row_id = f"{self._row_prefix}{line}"
        try:
            raw = _object_of(text)
            default_row_id = str(raw.pop(LINE, default_row_id))
            for added in (PROBLEM, *RESULT):
                raw.pop(added, None)
            if TEXT in raw:
                text = str(raw.pop(TEXT))
                raw = _object_of(text)
        except _UnreadableError as error:
            return BrokenRow(line, default_row_id, text, (Problem("row", str(error), text),))
        given = dict(raw)
        problems = _id_problems(raw)
        if raw.get("row_id") is None and raw.get("task_id") is None:
            raw["row_id"] = default_row_id
        try:
            spec, notes = TaskSpec.parse(self._with_stored_picture(raw), strict=self._strict)
        except SpecError as error:
            told = {problem.field for problem in problems}
            problems += [problem for problem in error.problems if problem.field not in told]
        if problems:
            return BrokenRow(line, default_row_id, given, tuple(problems))
        return Row(line, given, SerializedSpec.of(spec), notes, default_row_id)

    def _with_stored_picture(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Put the platform's URL in the place of a picture of the merchant's own.

        Raises:
            SpecError: the picture is refused.
        """
        picture = raw.get("cut_out")
        if self._pictures is None or raw.get("image_generation_type") != "CUT_OUT" or not isinstance(picture, dict):
            return raw
        image_url = picture.get("image_url")
        if not isinstance(image_url, str) or not image_url:
            return raw
        try:
            return {**raw, "cut_out": {**picture, "image_url": self._pictures.url(image_url)}}
        except CellError as error:
            raise SpecError((Problem("cut_out.image_url", str(error), image_url),)) from None


def _check_first(text: str, name: str) -> None:
    """Refuse a file whose first line begins a JSON array, an object over several lines, or an object around the rows.

    Raises:
        CatalogError: it does.
    """
    begun = text.strip().removeprefix("\ufeff")
    if begun == "{":
        raise CatalogError(
            gettext("%(name)s is JSON over several lines; write each object on one line, as `jq -c .` does.")
            % {"name": name}
        )
    if _ARRAY.match(begun):
        raise CatalogError(
            gettext("%(name)s is a JSON array; write each of its objects on one line, as `jq -c '.[]'` does.")
            % {"name": name}
        )

    try:
        path = _path_of_rows(_object_of(begun))
    except _UnreadableError:
        return  # a broken line, which is told as one
    if path:
        raise CatalogError(
            gettext(
                "%(name)s holds its rows in the list %(path)s of one JSON object; write each row on one line, as "
                "`jq -c '%(path)s[]'` does."
            )
            % {"name": name, "path": path}
        )


def _path_of_rows(raw: dict[str, Any], deepest: int = _DEEPEST_WRAPPER) -> str:
    """Return where the first list of objects stands in an object that is no request, as jq writes it; else nothing.

    >>> _path_of_rows({"code": 0, "data": {"list": [{"row_id": "1"}]}})
    '.data.list'
    """
    if deepest == 0 or not _MARKS.isdisjoint(raw):
        return ""
    for key, value in raw.items():
        if not _PLAIN_KEY.fullmatch(key):
            continue
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return f".{key}"
        if isinstance(value, dict) and (path := _path_of_rows(value, deepest - 1)):
            return f".{key}{path}"
    return ""


def _is_id(text: str) -> bool:
    """Whether an id can be taken as it stands, by the rules of `_id_problems`."""
    if is_plain_id(text):
        return True
    try:
        check_id(text)
    except CellError:
        return False
    return visible(text) == text


def _id_problems(raw: dict[str, Any]) -> list[Problem]:
    """Look for what a program writes in place of an id, such as "nan"; drops letters that nobody sees from ids."""
    problems = []
    for name in _OWN:
        value = raw.get(name)
        if isinstance(value, str) and not is_plain_id(value):
            raw[name] = value = visible(value)
            try:
                check_id(value)
            except CellError as error:
                problems.append(Problem(name, str(error), value))
    return problems


def _depth(text: str) -> int:
    """Return how deep objects and arrays nest, reading letter by letter; brackets in texts do not count."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_TEXTS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object_of(text: str) -> dict[str, Any]:
    if text.count("{") + text.count("[") > _DEEPEST and _depth(text) > _DEEPEST:
        raise _UnreadableError(
            gettext("is not JSON that can be read: it nests more than %(deepest)s levels deep") % {"deepest": _DEEPEST}
        )
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except _UnreadableError:
        raise
    except json.JSONDecodeError as error:
        behind = text[error.pos :].strip() if error.msg == "Extra data" else ""
        if behind.startswith("{"):
            raise _UnreadableError(
                gettext("holds more than one JSON object; write each on a line of its own")
            ) from None
        if behind == ",":
            raise _UnreadableError(
                gettext("has a comma behind its JSON object; each line is one object by itself")
            ) from None
        raise _UnreadableError(
            gettext("is not JSON: %(reason)s at character %(number)s")
            % {"reason": library_words(error.msg), "number": error.colno}
        ) from None
    except ValueError:
        raise _UnreadableError(gettext("is not JSON that can be read: a number in it has too many digits")) from None
    if not isinstance(found, dict):
        raise _UnreadableError(gettext("is not a JSON object: each line is one request body"))
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _UnreadableError(gettext("has the key %(key)s twice") % {"key": quoted(twice)})
    return made


def _no_constant(name: str) -> NoReturn:
    raise _UnreadableError(gettext("is not JSON: there is no %(name)s in it") % {"name": name})
