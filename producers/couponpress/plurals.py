"""Counts with their nouns, as a person reads them: `1 row`, `2 rows` (pure)."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun; thousands are set off by commas.

    Args:
        number: how many.
        one: what there is one of, such as `good row`.
        many: the same for several, where it is not `one` with an s.

    >>> counted(1, "spec"), counted(0, "spec"), counted(12000, "picture"), counted(2, "query", "queries")
    ('1 spec', '0 specs', '12,000 pictures', '2 queries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
