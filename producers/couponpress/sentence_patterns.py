"""Translates sentences that were already put together in English: by Redis records, or by the command-line library.

Each known sentence has places for values, `%(name)s`. A text that fits one is said in the current language, with its
values in their places. A value that is a known sentence itself is translated too.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Final

from couponpress.language import Language, current, gettext, speaking

_PLACE: Final = re.compile(r"%\((\w+)\)s")


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


def _pattern(sentence: str) -> re.Pattern[str]:
    told = [
        f"(?P<{text}>.+)" if at % 2 else re.escape(text.replace("%%", "%"))
        for at, text in enumerate(_PLACE.split(sentence))
    ]
    return re.compile("".join(told), re.DOTALL)
