"""Records every submit for an audit: when it came, over which connection, and how it was answered (pure).

There is one entry per submit, in columns of a few dozen bytes. Whether a call was needed, or may have come twice, is
decided by the program that reads the record.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import Any

from couponpress_worker.sandbox.tasks import Meaning


@dataclass(slots=True, eq=False)
class Life:
    """When a connection was opened and closed.

    Attributes:
        opened_us: when it was accepted, on the same clock.
        port: the one of ours that it came to.
        lost_us: when it was found closed, on the monotonic clock, microseconds; 0 while it is open.
    """

    opened_us: int
    port: int
    lost_us: int = 0


class Calls:
    """Every submit, in the order of arrival; entry n belongs to arrival n."""

    def __init__(self) -> None:
        self._bodies: list[str] = []
        self._meanings: list[Meaning | str] = []
        self._faults: list[str] = []
        self._lives: list[Life | None] = []
        self._answered_us = array("q")

    def arrived(self, life: Life | None, fault: str | None) -> None:
        """Begin the entry of a submit that came just now."""
        self._bodies.append("")
        self._meanings.append("")
        self._faults.append(fault or "")
        self._lives.append(life)
        self._answered_us.append(0)

    def read(self, number: int, body: bytes) -> None:
        """Note what a submit said."""
        self._bodies[number] = body_digest(body)

    def taken(self, number: int, meaning: Meaning) -> None:
        """Note that the platform understood a submit, and as what."""
        self._meanings[number] = meaning

    def answered(self, number: int, now_us: int) -> None:
        """Note that an answer was handed to the connection. Whether the client read it is not known."""
        self._answered_us[number] = now_us

    def told(self) -> dict[str, Any]:
        """Return the columns.

        `bodies`: digests, empty for a body that was not read. `meanings`: `new` and `doubled` were accepted, `conflict`
        was refused for other bytes under the same serial, empty: not accepted. `faults`: the fault that hit it, if
        any. `answered_us`, `opened_us` and `lost_us` (of the connection): 0 when that did not happen. `ports`: by
        which of ours it came.
        """
        return {
            "bodies": self._bodies,
            "meanings": self._meanings,
            "faults": self._faults,
            "answered_us": self._answered_us.tolist(),
            "ports": [0 if life is None else life.port for life in self._lives],
            "opened_us": [0 if life is None else life.opened_us for life in self._lives],
            "lost_us": [0 if life is None else life.lost_us for life in self._lives],
        }


def body_digest(body: bytes) -> str:
    """Return what stands for a body in the record: 8 bytes in hex."""
    return hashlib.blake2b(body, digest_size=8).hexdigest()
