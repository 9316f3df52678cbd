"""Maps a merchant's own headers and words to the fields of a spec.

A mapping says which column is which field, and which values hold for every row. It is read and written as TOML;
`columns` applies it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, get_args

from couponpress.catalog.cells import CellError
from couponpress.catalog.mapping_file import edited
from couponpress.catalog.vocabulary import Meaning, folded, known, meaning_of, own_names
from couponpress.errors import CatalogError, system_error
from couponpress.language import gettext, joined, quoted
from couponpress.library_sentences import in_words as library_words
from couponpress.spec import CouponType, ImageGenerationType, Scope, UsageMode

_PARTS: Final = ("columns", "fixed", "words")
#: Cells of these fields are taken as they stand.
_AS_THEY_STAND: Final = frozenset({"row_id", "task_id", "brand_id", "image_url"})
#: What belongs to one row cannot be the same in all of them.
_OF_ONE_ROW: Final = frozenset({"row_id", "task_id"})
_WORDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "image_generation_type": get_args(ImageGenerationType),
    "scope": get_args(Scope),
    "type": get_args(CouponType),
    "usage_mode": get_args(UsageMode),
}


@dataclass(frozen=True)
class HeaderMapping:
    """A mapping for one or several catalogs.

    Attributes:
        columns: header -> field, by any of the field's names.
        fixed: field -> the cell that every row has.
        words: field -> a merchant's word -> the cell that it stands for.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any], where: str) -> Self:
        """Read a mapping from plain data. `where` names it in errors.

        Raises:
            CatalogError: it says something that cannot be; the sentence names what is possible.
        """
        for part in raw:
            if part not in _PARTS:
                raise CatalogError(
                    gettext("%(where)s: there is no part %(part)s; the parts are %(parts)s.")
                    % {"where": where, "part": quoted(part), "parts": joined(_PARTS, ", ")}
                )
        columns, fixed = (_texts(raw.get(part, {}), f"{where}: [{part}]") for part in ("columns", "fixed"))
        words = {
            name: _texts(of_field, f"{where}: [words.{name}]")
            for name, of_field in _table(raw.get("words", {}), f"{where}: [words]").items()
        }
        for name in (*columns.values(), *fixed, *words):
            if meaning_of(name) is None:
                raise CatalogError(
                    gettext("%(where)s: there is no field %(name)s; the fields are %(own_names)s.")
                    % {"where": where, "name": quoted(name), "own_names": joined(own_names(), ", ")}
                )
        for name, cell in fixed.items():
            _check_fixed(known(name), name, cell, where)
        for name, of_field in words.items():
            _check_words(known(name), name, of_field, where)
        return cls(columns, fixed, words)

    @classmethod
    def load(cls, path: Path | None, pairs: Iterable[str] = ()) -> Self:
        """Read a mapping file, and pairs `header=field`, which take precedence.

        Raises:
            CatalogError: the file cannot be read, or it or a pair says something that cannot be.
        """
        raw: dict[str, Any] = {}
        if path is not None:
            try:
                raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
            except OSError as error:
                raise CatalogError(
                    gettext("the mapping %(path)s cannot be read (%(reason)s).")
                    % {"path": path, "reason": system_error(error)}
                ) from None
            except ValueError as error:
                raise CatalogError(
                    gettext("the mapping %(path)s is not TOML: %(error)s.")
                    % {"path": path, "error": library_words(error)}
                ) from None
        said: dict[str, str] = {}
        for pair in pairs:
            header, sign, name = pair.rpartition("=")
            if not sign or not header.strip():
                raise CatalogError(
                    gettext("--map %(pair)s must read header=field, for example '门店品牌号=brand_id'.")
                    % {"pair": quoted(pair)}
                )
            said[header.strip()] = name.strip()
        of_file = cls.of(raw, str(path))
        of_pairs = cls.of({"columns": said}, "--map")
        columns = dict(of_file.columns)
        for header, name in of_pairs.columns.items():
            spelled = next((one for one in columns if folded(one) == folded(header)), header)
            columns[spelled] = name
        return cls(columns, of_file.fixed, of_file.words)

    def save(self, path: Path, loaded: Path | None = None) -> None:
        """Write the mapping as a file that `load` reads.

        What a person wrote stays: the comments and the order of the file that is there already, else those of the file
        `loaded`.

        Raises:
            CatalogError: it cannot be written, or is there already and cannot be edited.
        """
        parts = {"columns": self.columns, "fixed": self.fixed}
        parts |= {f"words.{name}": of_field for name, of_field in self.words.items()}
        origin = path if path.exists() else loaded
        unfinished = path.with_name(f".{path.name}.part")
        try:
            text = origin.read_text(encoding="utf-8-sig") if origin else ""
            text = edited(text, {name: pairs for name, pairs in parts.items() if pairs})
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(path)
        except OSError as error:
            raise CatalogError(
                gettext("the mapping %(path)s cannot be written (%(reason)s).")
                % {"path": path, "reason": system_error(error)}
            ) from None
        except ValueError:
            raise CatalogError(
                gettext("%(origin)s is there, and is no mapping that can be added to; save the mapping to a new file.")
                % {"origin": origin}
            ) from None


def _check_fixed(meaning: Meaning, name: str, cell: str, where: str) -> None:
    if meaning.field in _OF_ONE_ROW:
        raise CatalogError(
            gettext("%(where)s: %(name)s cannot be fixed, for it is each row's own.") % {"where": where, "name": name}
        )
    try:
        read = meaning.read(cell)
    except CellError as error:
        raise CatalogError(
            gettext("%(where)s: the fixed %(name)s %(reason)s (got %(cell)s).")
            % {"where": where, "name": name, "reason": error, "cell": quoted(cell)}
        ) from None
    allowed = _WORDS_OF.get(meaning.field)
    if allowed and read not in allowed:
        raise CatalogError(
            gettext("%(where)s: the fixed %(name)s must be one of %(allowed)s (got %(cell)s).")
            % {"where": where, "name": name, "allowed": ", ".join(allowed), "cell": quoted(cell)}
        )


def _check_words(meaning: Meaning, name: str, words: Mapping[str, str], where: str) -> None:
    if meaning.field in _AS_THEY_STAND:
        possible = [one for one in own_names() if known(one).field not in _AS_THEY_STAND]
        raise CatalogError(
            gettext("%(where)s: %(name)s has no words; words are possible for %(possible)s.")
            % {"where": where, "name": name, "possible": joined(possible, ", ")}
        )
    for word, cell in words.items():
        _check_fixed(meaning, f"word {word!r} of {name}", cell, where)


def _table(raw: object, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise CatalogError(gettext("%(where)s must be a table of names and texts.") % {"where": where})
    return raw


def _texts(raw: object, where: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, text in _table(raw, where).items():
        if not isinstance(text, str) or not text.strip():
            raise CatalogError(
                gettext("%(where)s: %(name)s must be a text in quotes.") % {"where": where, "name": quoted(name)}
            )
        if any(folded(name) == folded(other) for other in made):
            raise CatalogError(gettext("%(where)s: %(name)s stands twice.") % {"where": where, "name": quoted(name)})
        made[name] = text.strip()
    return made
