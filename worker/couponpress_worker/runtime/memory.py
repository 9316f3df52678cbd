"""Keeps the memory of a process that runs for weeks small and its event loop punctual.

uvloop holds a buffer of 256 KB for each TLS connection. glibc would keep the buffers of closed connections, and put
small things between them: after a burst of connections the process would stay larger for good.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

#: Hardly anything here lies in a circle, so the cyclic collector runs a tenth as often as it does by itself.
COLLECT_AFTER: Final = (10_000, 20, 20)
#: Blocks of this size or more go back to the system when they are freed: glibc's own first value, which it raises.
LARGE_BYTES: Final = 128 * 1024
#: `M_MMAP_THRESHOLD` of glibc's malloc.h.
_MMAP_THRESHOLD: Final = -3


def settle() -> None:
    """Leave out of all collections what is there now, collect seldom, and let large blocks be given back.

    To be called once everything is imported and opened. Without glibc large blocks stay as they are.
    """
    gc.collect()
    gc.freeze()  # a full collection over everything imported would make slots late
    gc.set_threshold(*COLLECT_AFTER)
    if (set_option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        set_option(_MMAP_THRESHOLD, LARGE_BYTES)
