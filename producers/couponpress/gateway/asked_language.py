"""Which language the request in hand asks for by its Accept-Language header; problem documents are told in it.

What the gateway logs and stores stays English, so this is no `speaking`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from couponpress.language import Language, language_of_header

#: How the languages are named in Content-Language.
TAGS: Final[dict[Language, str]] = {"en": "en", "zh_CN": "zh-CN"}

_header: ContextVar[str | None] = ContextVar("couponpress accept-language", default=None)


@contextmanager
def asking(accept_language: str | None) -> Iterator[None]:
    """Answer in the language that a header asks for until the block ends; in this task alone."""
    before = _header.set(accept_language)
    try:
        yield
    finally:
        _header.reset(before)


def asked_language() -> Language:
    """Return the language that the request in hand asks for; English where it names none."""
    return language_of_header(_header.get())
