"""The first module of the `couponpress` command: it imports little, and lets Ctrl-C end the import of the rest.

Imports take some tenths of a second. An interrupt in the middle of them could be swallowed by a library, or be shown
as a trace; here it ends the process at once, with one sentence and exit code 130.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

INTERRUPTED: Final = 130
_TOLD = b"couponpress: interrupted\n"


@contextmanager
def importing() -> Iterator[None]:
    """Import quickly, and let Ctrl-C end the process at once: an import leaves nothing behind.

    What is imported stays. So nothing looks through it for garbage: not meanwhile, not later, and not at the end of the
    process, where that takes a tenth of a second.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with _ends_at_once():
            yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


@contextmanager
def _ends_at_once() -> Iterator[None]:
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # ignored, or somebody else's: left as it is
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def main() -> None:
    """Import the command and run it."""
    with importing():
        from couponpress.cli.main import main as run  # noqa: PLC0415 - see above

    run()


def _end(*_: object) -> None:
    os.write(2, _TOLD)
    os._exit(INTERRUPTED)
