"""Reads records that a newer version of couponpress may have stored.

During a rolling upgrade an older process reads what a newer one has written. A record says only more in a newer
version: a field never changes its meaning, and never goes away. So a reader takes the fields that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

Record = TypeVar("Record")


def from_stored(kind: type[Record], told: Mapping[str, Any]) -> Record:
    """Make a dataclass from stored fields, without those that only a newer version knows.

    Raises:
        TypeError: a field that has no default is missing.
    """
    known = {field.name for field in fields(cast(Any, kind))}
    return kind(**{name: value for name, value in told.items() if name in known})
