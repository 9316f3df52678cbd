"""Says what came of a night in the reader's language; it is stored in English, as parts with commas between."""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop, joined
from couponpress.sentence_patterns import CatalogSentences, SentencePatterns

#: The parts, the first that fits.
KNOWN: Final = (
    gettext_noop("1 row"),
    gettext_noop("%(number)s rows"),
    gettext_noop("%(number)s changed"),
    gettext_noop("%(number)s unchanged"),
    gettext_noop("%(number)s under way in an earlier run"),
    gettext_noop("%(number)s under way"),
    gettext_noop("%(number)s broken"),
    gettext_noop("nothing to send"),
    gettext_noop("%(number)s waiting before them"),
    gettext_noop("at a rate that no worker has told yet"),
    gettext_noop("%(span)s at %(rate)s/s"),
    gettext_noop("done by %(moment)s"),
    gettext_noop("too late for its deadline %(moment)s"),
    gettext_noop("%(runs)s is not finished yet: %(answer)s"),
    gettext_noop("it cannot meet its deadline: %(answer)s"),
    gettext_noop("it goes behind it (on_overlap = queue)"),
    gettext_noop("nothing is sent (on_overlap = skip)"),
    gettext_noop("what that has not sent is taken back (on_overlap = replace)"),
    gettext_noop("it is sent all the same (on_late = queue)"),
    gettext_noop("nothing is sent (on_late = skip)"),
    gettext_noop("what earlier runs have not sent is taken back (on_late = replace)"),
    gettext_noop("%(number)s sent"),
    gettext_noop("%(number)s succeeded"),
    gettext_noop("%(number)s failed"),
    gettext_noop("%(number)s rejected"),
    gettext_noop("%(number)s expired"),
    gettext_noop("%(number)s cancelled"),
    gettext_noop("deadline %(moment)s met"),
    gettext_noop("deadline %(moment)s missed"),
    gettext_noop("%(hours)s h %(minutes)s min"),
    gettext_noop("%(minutes)s min %(seconds)s s"),
    gettext_noop("%(seconds)s s"),
    gettext_noop("the upload that another process had completed is released"),
    gettext_noop("%(number)s processes had it in hand"),
    gettext_noop("and none completed it"),
    gettext_noop("interrupted by hand"),
    gettext_noop("its run was forgotten before anybody looked at its end"),
    gettext_noop("%(path)s has no such schedule any more"),
    gettext_noop("its source failed: %(reason)s"),
    gettext_noop("%(run)s and %(more)s"),
    # How a night stands.
    gettext_noop("claimed"),
    gettext_noop("sent"),
    gettext_noop("done"),
    gettext_noop("skipped"),
    gettext_noop("failed"),
    gettext_noop("missed"),
)

#: Its short parts would fit other sentences, if a number could be any text.
_PATTERNS: Final = SentencePatterns(
    KNOWN,
    {"run": r"\S+", "more": r"\S+(?: and \S+)*"} | dict.fromkeys(("number", "hours", "minutes", "seconds"), r"[\d,.]+"),
)
#: What a night can fail with: any error that couponpress raises.
_ERRORS: Final = CatalogSentences()


def in_words(told: str) -> str:
    """Return what is stored of a night in the current language; as it is stored where a part of it is not known."""
    told = _usual(told)
    return _ERRORS.in_words(told)


def _usual(told: str) -> str:
    sentences = []
    for sentence in told.split("; "):
        parts = sentence.split(", ")
        words = [_PATTERNS.in_words(part) for part in parts]
        if any(part == word for part, word in zip(parts, words, strict=True)):
            return told
        sentences.append("，".join(words))
    return joined(sentences, "; ")
