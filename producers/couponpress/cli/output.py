"""Standard output and error as a terminal takes them, and output that cannot be written: a full disk, a closed pipe.

What a command writes may stay in a buffer until the interpreter ends, and would fail there with a trace. So the buffer
is emptied while there is somebody to say what failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from couponpress.cli.console import ENDED_BADLY, unwritable
from couponpress.language import gettext


class _Output(TextIOWrapper):
    """Standard output that remembers how it was refused: other files raise the same errors."""

    refusal: OSError | None = None

    def write(self, text: str) -> int:
        """Write as usual."""
        try:
            return super().write(text)
        except OSError as error:
            self.refusal = error
            raise

    def flush(self) -> None:
        """Empty the buffer as usual."""
        try:
            super().flush()
        except OSError as error:
            self.refusal = error
            raise


@contextmanager
def written_output() -> Iterator[None]:
    """Run a command; when it ends, everything that it wrote has left the process.

    A letter that the terminal lacks is shown as a question mark; in what goes to a file or a program it is written as
    its number, which is right in JSON. Whoever closed the pipe (`| head`) wants no more: the
    command ends with exit code 1 and without a word.

    Raises:
        InputError: standard output cannot be written.
        SystemExit: the pipe was closed, or the command ended so.
    """
    if sys.stdout is None:  # closed by the caller: what is written goes nowhere
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the rest of the process
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")
    usual = cast(TextIOWrapper, sys.stdout)
    sys.stdout = output = _Output(
        usual.buffer,
        usual.encoding,
        "replace" if usual.isatty() else "backslashreplace",
        line_buffering=usual.line_buffering,
        write_through=usual.write_through,
    )
    try:
        try:
            yield
        finally:
            output.flush()
    except OSError:
        if output.refusal is None:
            raise
        _write_nowhere(output.fileno())
        if isinstance(output.refusal, BrokenPipeError):
            sys.exit(ENDED_BADLY)
        raise unwritable(Path(gettext("standard output")), output.refusal) from None
    finally:
        sys.stdout = usual
        output.detach()  # else it would close what others go on with


def _write_nowhere(number: int) -> None:
    """Let the rest of the buffer go where nobody reads it: nothing must fail when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def shows_chinese() -> bool:
    """Whether standard output and error take Chinese letters, as UTF-8, GBK and GB18030 do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            "中文".encode(getattr(stream, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return False
    return True
