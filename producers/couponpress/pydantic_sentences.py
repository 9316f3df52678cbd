"""Says which rule pydantic found broken, in the current language: its own messages are English."""

from __future__ import annotations

from typing import Final

from couponpress.language import current, gettext_noop
from couponpress.sentence_patterns import SentencePatterns

#: Its messages, as it words them.
RULES: Final = (
    gettext_noop("Input should be a valid integer, unable to parse string as an integer"),
    gettext_noop("Input should be a valid integer, got a number with a fractional part"),
    gettext_noop("Input should be a valid integer"),
    gettext_noop("Input should be a valid number, unable to parse string as a number"),
    gettext_noop("Input should be a valid number"),
    gettext_noop("Input should be a valid boolean, unable to interpret input"),
    gettext_noop("Input should be a valid boolean"),
    gettext_noop("Input should be a valid string"),
    gettext_noop("Input should be a valid list"),
    gettext_noop("Input should be a valid dictionary"),
    gettext_noop("Input should be greater than or equal to %(least)s"),
    gettext_noop("Input should be less than or equal to %(most)s"),
    gettext_noop("Input should be '%(words)s' or '%(last)s'"),
    gettext_noop("String should match pattern '%(pattern)s'"),
    gettext_noop("Extra inputs are not permitted"),
    gettext_noop("Field required"),
    gettext_noop("Value error, '%(value)s' is not one of %(words)s."),
)

_PATTERNS: Final = SentencePatterns(RULES)


def rule_told(message: str) -> str:
    """Return a message of pydantic as a rule; a rule of our own is in the current language already.

    >>> rule_told("Input should be a valid integer"), rule_told("Value error, names one host twice")
    ('must be a valid integer', 'names one host twice')
    """
    if current() != "en" and (told := _PATTERNS.in_words(message)) != message:
        return told
    rule = message.replace("Input should", "must").replace("String should", "must")
    return rule.removeprefix("Value error, ")
