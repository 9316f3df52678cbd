"""Reads single keys from a terminal, without waiting for Enter, and leaves the terminal as it was."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from types import TracebackType
from typing import Any, Self

#: What ends a line, takes a letter back, and gives up.
ENTER, BACKSPACE, ESCAPE = "\n", "\x7f", "\x1b"
_SAME = {"\r": ENTER, "\b": BACKSPACE}


class Keyboard:
    """The keys of standard input; where that is no terminal, nobody presses any."""

    def __init__(self) -> None:
        self._descriptor = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._before: list[Any] = []
        self._pressed: list[str] = []

    def __enter__(self) -> Self:
        if self._descriptor >= 0:
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def key(self, seconds: float) -> str:
        """Wait so long for a key, and return it; empty when none was pressed. An arrow and its kin count as none."""
        if not self._pressed:
            if self._descriptor < 0:
                time.sleep(seconds)
                return ""
            if not select.select([self._descriptor], [], [], seconds)[0]:
                return ""
            typed = os.read(self._descriptor, 1024).decode(errors="ignore")
            # An escape sequence comes in one piece; the Escape key comes alone.
            self._pressed = [] if typed.startswith("\x1b") and len(typed) > 1 else list(typed)
        key = self._pressed.pop(0) if self._pressed else ""
        return _SAME.get(key, key)
