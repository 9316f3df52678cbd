"""Which language a person reads, English or Chinese, and how a message is said in it.

Messages are gettext's: the English sentence is the key, and `locale/zh_CN/LC_MESSAGES/couponpress.po` says it in
Chinese. The compiled catalog is made when the package is built or installed (`hatch_build.py`). Without it, or for a
sentence that it does not hold, a person reads English.
"""

from __future__ import annotations

import gettext as stdlib_gettext
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Literal

Language = Literal["en", "zh_CN"]
LANGUAGES: tuple[Language, ...] = ("en", "zh_CN")
DOMAIN = "couponpress"
LOCALE = Path(__file__).parent / "locale"

_current: ContextVar[Language | None] = ContextVar("couponpress language", default=None)


def _english() -> Language:
    return "en"


_of_process: Callable[[], Language] = _english
_of_starter: Callable[[], Language] = _english


def current() -> Language:
    """Return the language that messages are said in now."""
    return _current.get() or _of_process()


def speak(asked: Callable[[], Language]) -> None:
    """Say messages from now on, in every thread of this process, in the language that `asked` returns.

    It is asked once, when the first message is said. A block of `speaking` goes before it.
    """
    global _of_process  # noqa: PLW0603 - the one setting of a process that runs one command
    _of_process = cache(asked)


def serve_in_english() -> None:
    """Say messages in English from now on: a service that has started logs and stores English.

    Until then it speaks the language of whoever starts it, so that they read why it does not start.
    """
    global _of_process, _of_starter
    if _of_process is not _english:  # a service that serves already, in another part, still knows who started it
        _of_process, _of_starter = _english, _of_process


def of_starter() -> Language:
    """Return the language of whoever started this service: what it writes into files for people is in it."""
    return _of_starter()


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Say messages in a language until the block ends; in this thread or task alone."""
    before = _current.set(language)
    try:
        yield
    finally:
        _current.reset(before)


def gettext(message: str) -> str:
    """Return a message in the current language."""
    return _translations(current()).gettext(message)


def gettext_noop(message: str) -> str:
    """Mark a message for the catalog and return it as it is; whoever shows it passes it to `gettext`."""
    return message


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of a message that fits a number, in the current language."""
    return _translations(current()).ngettext(singular, plural, number)


def quoted(value: object) -> str:
    """Return a value of others as it stands in a sentence: in quotes, with escapes for what cannot be shown.

    >>> quoted("may.csv")
    "'may.csv'"
    """
    shown = repr(value)
    return shown if current() == "en" or not isinstance(value, str) else f"“{shown[1:-1]}”"


def argument(value: object) -> str:
    """Return a name as a shell takes it for one argument; letters of any language need no quotes.

    >>> argument("五月"), argument("May sale")
    ('五月', "'May sale'")
    """
    text = f"{value}"
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else shlex.quote(text)


def joined(parts: Iterable[str], between: str = ", ") -> str:
    """Return names (`, ` between them) or clauses (`; `) as one text.

    >>> joined(["brand_id", "scope"])
    'brand_id, scope'
    """
    return (between if current() == "en" else {", ": "、", "; ": "；"}[between]).join(parts)


def language_of_locale(environment: Mapping[str, str]) -> Language:
    """Return the language that a process is asked to speak: the first that is set of the variables below.

    COUPONPRESS_LANG, LC_ALL, LC_MESSAGES and LANG, in this order; every Chinese locale counts as Chinese.

    >>> language_of_locale({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"})
    'en'
    >>> language_of_locale({"LANG": "zh_CN.UTF-8"})
    'zh_CN'
    """
    names = ("COUPONPRESS_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    return _language_of(next((environment[name] for name in names if environment.get(name)), ""))


def language_of_header(accept_language: str | None) -> Language:
    """Return the language that a browser asks for by its Accept-Language header (RFC 9110, 12.5.4).

    >>> language_of_header("zh-CN,zh;q=0.9,en;q=0.8")
    'zh_CN'
    >>> language_of_header("de,en;q=0.7,zh;q=0.3"), language_of_header(None)
    ('en', 'en')
    """
    wanted: list[tuple[float, Language]] = []
    for entry in (accept_language or "").split(","):
        tag, _, parameter = entry.strip().partition(";")
        if not tag.lower().startswith(("zh", "en")):
            continue
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        wanted.append((-weight, _language_of(tag)))
    return min(wanted, key=lambda one: one[0])[1] if wanted else "en"


def _language_of(tag: str) -> Language:
    return "zh_CN" if tag.lower().startswith("zh") else "en"


@cache
def every_message() -> tuple[str, ...]:
    """Return every English sentence of the message catalog, in no order; none where it is not compiled."""
    made: Any = _translations("zh_CN")  # the library lists its messages nowhere else
    found: dict[str | tuple[str, int], str] = getattr(made, "_catalog", {})
    return tuple({key if isinstance(key, str) else key[0] for key in found} - {""})


@cache
def _translations(language: Language) -> stdlib_gettext.NullTranslations:
    if language == "en":
        return stdlib_gettext.NullTranslations()
    return stdlib_gettext.translation(DOMAIN, LOCALE, [language], fallback=True)
