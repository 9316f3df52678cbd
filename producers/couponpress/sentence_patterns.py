"""Translates sentences that were already put together in English: by Redis records, or by the command-line library.

Each known sentence has places for values, `%(name)s`. A text that fits one is said in the current language, with its
values in their places. A value that is a known sentence itself is translated too.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Final

from couponpress.language import Language, current, every_message, gettext, joined, speaking

_PLACE: Final = re.compile(r"%\((\w+)\)s")
#: A sentence of the catalog is looked for in stored texts when it has so many letters beside its values.
_OWN_LETTERS: Final = 12
_LETTERS_IN_VALUE: Final = 5


class SentencePatterns:
    """The sentences of one source, in the order in which they are tried."""

    def __init__(self, sentences: tuple[str, ...]) -> None:
        self.sentences = sentences
        self._cached = lru_cache(maxsize=1024)(self._translated)  # few sentences come again and again

    def in_words(self, english: str) -> str:
        """Return a text in the current language; as it is where it fits no sentence."""
        return english if current() == "en" or not english else self._cached(english, current())

    def _translated(self, english: str, language: Language) -> str:
        for sentence, pattern in self._patterns:
            if found := pattern.fullmatch(english):
                values = {name: self.in_words(text) for name, text in found.groupdict().items()}
                with speaking(language):
                    return gettext(sentence) % values
        return english

    @cached_property
    def _patterns(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((sentence, _pattern(sentence)) for sentence in self.sentences)


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
                    return gettext(sentence) % values
        return english

    def _value(self, text: str, language: Language) -> str:
        for between in ("; ", ", "):
            parts = text.split(between)
            told = [self._cached(part, _LETTERS_IN_VALUE, language) for part in parts]
            if told != parts:
                return joined(told, between)
        return text

    @cached_property
    def _sentences(self) -> list[tuple[int, str, list[str]]]:
        """Return how many letters each sentence has, the sentence, and what stands between its places; most first."""
        cut = [(one, [text.replace("%%", "%") for text in _PLACE.split(one)[::2]]) for one in every_message()]
        own = [
            (sum(map(str.isalpha, "".join(pieces))), sentence, pieces)
            for sentence, pieces in cut
            if len(set(names := _PLACE.findall(sentence))) == len(names)
        ]
        return sorted((one for one in own if one[0] >= _LETTERS_IN_VALUE), reverse=True)


def _pattern(sentence: str) -> re.Pattern[str]:
    told = [
        f"(?P<{text}>.+)" if at % 2 else re.escape(text.replace("%%", "%"))
        for at, text in enumerate(_PLACE.split(sentence))
    ]
    return re.compile("".join(told), re.DOTALL)
