"""Translates sentences that were already put together in English: by Redis records, or by the command-line library.

Each known sentence has places for values, `%(name)s`. A text that fits one is said in the current language, with its
values in their places. A value that is a known sentence itself is translated too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Final

from couponpress.language import Language, current, every_message, gettext, joined, speaking

_PLACE: Final = re.compile(r"%\((\w+)\)s")
#: A sentence of the catalog is looked for in stored texts when it has so many letters beside its values.
_OWN_LETTERS: Final = 12
_LETTERS_IN_VALUE: Final = 5
#: What values look like, by their place. The reason behind an address may hold another one.
_SHAPES: Final = {"address": ".+?"}


class SentencePatterns:
    """The sentences of one source, in the order in which they are tried."""

    def __init__(self, sentences: tuple[str, ...], shapes: Mapping[str, str] | None = None) -> None:
        """Take the sentences, and what the values of a place look like where they are no text of any kind."""
        self.sentences = sentences
        self._shapes = {**_SHAPES, **(shapes or {})}
        self._cached = lru_cache(maxsize=1024)(self._translated)  # few sentences come again and again

    def in_words(self, english: str) -> str:
        """Return a text in the current language; as it is where it fits no sentence."""
        return english if current() == "en" or not english else self._cached(english, current())

    def _translated(self, english: str, language: Language) -> str:
        for sentence, pattern in self._patterns:
            if found := pattern.fullmatch(english):
                values = {name: self.in_words(text) for name, text in found.groupdict().items()}
                with speaking(language):
                    return gettext(sentence) % values if values else gettext(sentence)
        return english

    @cached_property
    def _patterns(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((sentence, _pattern(sentence, self._shapes)) for sentence in self.sentences)


class CatalogSentences:
    """Every sentence of the message catalog: for an error that was put together in English and stored.

    Of several that fit, the one with the most letters of its own is taken. A short one fits too much, so it counts only
    for a value in a longer one. A value may be a list of several.
    """

    def __init__(self) -> None:
        self._cached = lru_cache(maxsize=256)(self._translated)

    def in_words(self, english: str) -> str:
        """Return a text in the current language; as it is where it fits no sentence."""
        return english if current() == "en" or not english else self._cached(english, _OWN_LETTERS, current())

    def _translated(self, english: str, letters: int, language: Language) -> str:
        for own, sentence, pieces in self._sentences:
            if own < letters:
                break
            if all(piece in english for piece in pieces) and (found := _pattern(sentence).fullmatch(english)):
                values = {name: self._value(text, language) for name, text in found.groupdict().items()}
                with speaking(language):
                    return gettext(sentence) % values if values else gettext(sentence)
        return english

    def _value(self, text: str, language: Language) -> str:
        lists = [(between, text.split(between)) for between in (", ", "; ", ", ")]
        told = [[self._cached(part, _LETTERS_IN_VALUE, language) for part in parts] for _, parts in lists]
        # A list of which every part is known goes before a sentence that happens to fit the whole of it.
        whole = all(one != part for one, part in zip(told[0], lists[0][1], strict=True))
        for (between, parts), words in zip(lists[0 if whole else 1 :], told[0 if whole else 1 :], strict=True):
            if words != parts:
                return joined(words, between)
        return text

    @cached_property
    def _sentences(self) -> list[tuple[int, str, list[str]]]:
        """Return how many letters each sentence has, the sentence, and what stands between its places; most first."""
        cut = [(one, [text.replace("%%", "%") for text in _PLACE.split(one)[::2]]) for one in every_message()]
        own = [(sum(map(str.isalpha, "".join(pieces))), sentence, pieces) for sentence, pieces in cut]
        return sorted((one for one in own if one[0] >= _LETTERS_IN_VALUE), reverse=True)


def _pattern(sentence: str, shapes: Mapping[str, str] = _SHAPES) -> re.Pattern[str]:
    told, names = "", set[str]()
    for at, text in enumerate(_PLACE.split(sentence)):
        if not at % 2:
            told += re.escape(text.replace("%%", "%"))
        elif text in names:
            told += f"(?P={text})"
        else:
            names.add(text)
            told += f"(?P<{text}>{shapes.get(text, '.+')})"
    return re.compile(told, re.DOTALL)
