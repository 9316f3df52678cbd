"""Tells when one of some files changed, so that what was read from them is read again.

A change counts when the files have been the same for two looks, for people and deployments replace several files one
after the other. A file that appears, goes, or gets other rights has changed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

#: How often the files are looked at.
LOOK_EVERY_SECONDS: Final = 2.0

#: What tells one state of a file from another: when it or its rights were changed, its size and its place on the disk.
Stamp = tuple[int, int, int]


class WatchedFiles:
    """Compares the files with how they were when their change was last told."""

    def __init__(self, paths: Callable[[], Iterable[Path]]) -> None:
        """Note how the files are now; `paths` returns them, also those that are not there."""
        self._paths = paths
        self._told = self._before = self._stamps()

    def changed(self) -> bool:
        """Look once; returns whether something changed since it was last told, and is in place."""
        now = self._stamps()
        settled, self._before = now == self._before, now
        if not settled or now == self._told:
            return False
        self._told = now
        return True

    def _stamps(self) -> Mapping[Path, Stamp | None]:
        return {path: _stamp(path) for path in self._paths()}


def _stamp(path: Path) -> Stamp | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ctime_ns, told.st_size, told.st_ino
