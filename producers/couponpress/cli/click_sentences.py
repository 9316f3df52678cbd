"""What the command-line library says by itself, Typer with its part of click: known sentences and their places."""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop
from couponpress.pydantic_sentences import RULES
from couponpress.sentence_patterns import SentencePatterns

_KNOWN: Final = (
    # What it does not understand.
    gettext_noop("No such option: %(name)s (Possible options: %(names)s)"),
    gettext_noop("No such option: %(name)s"),
    gettext_noop("No such command '%(name)s'. Did you mean %(names)s?"),
    gettext_noop("No such command '%(name)s'."),
    gettext_noop("Missing command."),
    gettext_noop("Missing argument '%(name)s'."),
    gettext_noop("FILE..."),
    gettext_noop("Missing option '%(name)s'."),
    gettext_noop("Option '%(name)s' requires an argument."),
    gettext_noop("Option '%(name)s' does not take a value."),
    gettext_noop("Got unexpected extra argument(s) (%(names)s)"),
    gettext_noop("Invalid value for '%(name)s': %(reason)s"),
    gettext_noop("Invalid value: %(reason)s"),
    *RULES,
    # What stands on help pages.
    gettext_noop("Show this message and exit."),
    gettext_noop("Install completion for the current shell."),
    gettext_noop("Show completion for the current shell, to copy it or customize the installation."),
    gettext_noop("default: %(value)s"),
    gettext_noop("required"),
)

_PATTERNS: Final = SentencePatterns(_KNOWN)


def in_words(english: str) -> str:
    """Return what the library says in the current language; as it says it where it is not known."""
    return _PATTERNS.in_words(english)
